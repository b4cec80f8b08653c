"""The same function through `jax.jit`, behind the interface of `Executable`: machine="xla".

It runs on JAX's default device (a GPU where there is one) and is the reference that results are
checked against. A run in the background cannot be stopped, a map shows no instances, since XLA has
none, and there is no plan of ours to look into.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NoReturn, Self

import jax
import numpy as np

from tilewright.graph.ir import Type
from tilewright.image import Interface
from tilewright.runtime.parameters import Parameters
from tilewright.runtime.run import Progress
from tilewright.runtime.signature import Signature
from tilewright.trace.jax_internals import generator
from tilewright.tree import tree_of


class XlaExecutable:
    """Call it, `start` it or `bind` some of its arguments, as an `Executable`."""

    def __init__(
        self,
        called: Parameters,
        *,
        lowered: Any = None,
        compiled: Any = None,
        signature: Signature | None = None,
    ):
        self._called = called
        self._lowered = lowered or jax.jit(called.fn).lower(*called.values)
        self._compiled = compiled or self._lowered.compile()
        self.signature = signature or _signature(called, self._lowered)
        self.name = self.signature.interface.name

    def __call__(self, *args: Any, **named: Any) -> Any:
        return self.run(self.signature.leaves(args, named))

    def start(
        self, *args: Any, stream: bool = False, slots: int | None = None, **named: Any
    ) -> XlaRun:
        """Run in the background; there is nothing to stream."""
        if stream:
            raise ValueError("XLA runs a function as a whole: there are no instances to stream.")
        return XlaRun(self, self.signature.leaves(args, named))

    def bind(self, *args: Any, **named: Any) -> XlaExecutable:
        """As `Executable.bind`."""
        return XlaExecutable(
            self._called,
            lowered=self._lowered,
            compiled=self._compiled,
            signature=self.signature.bind(args, named),
        )

    def run(self, leaves: Sequence[Any]) -> Any:
        """One call with checked leaves; the result as NumPy arrays, keys as keys."""
        signature = self.signature
        arrays = [self._device_array(i, leaf) for i, leaf in enumerate(leaves)]
        tree = signature.interface.in_tree
        assert tree is not None
        return jax.tree_util.tree_map(_host_array, self._compiled(*tree.unflatten(arrays)))

    def __repr__(self) -> str:
        """`<XlaExecutable layer(x: float32[3,4]) -> float32[4], on cpu>`"""
        return f"<XlaExecutable {self.signature.shown()}, on {jax.default_backend()}>"

    def _device_array(self, position: int, leaf: Any) -> Any:
        array = self.signature.plain(position, leaf)
        form = self.signature.interface.forms_in.get(position)
        if form is None:
            return array
        return jax.random.wrap_key_data(jax.numpy.asarray(array), impl=form)

    compiled = None

    @property
    def graph(self) -> str:
        """There is none of ours: says what the program is instead."""
        return f"{self!r} is XLA's program: `llvm` is its text, `assembly` what XLA makes of it."

    program = graph

    def report(self) -> NoReturn:
        raise ValueError('machine="xla" has no plan to report on: compile for this host instead.')

    def save(self, path: Any) -> NoReturn:
        raise ValueError('machine="xla" has no graph to save: compile for this host instead.')

    def profile(self, *_: Any, **__: Any) -> NoReturn:
        raise ValueError('machine="xla" cannot be profiled here: compile for this host instead.')

    @cached_property
    def llvm(self) -> str:
        """XLA's own text before optimisation, since there is no LLVM text of ours."""
        return self._lowered.as_text()

    @cached_property
    def assembly(self) -> str:
        """XLA's text after optimisation."""
        return self._compiled.as_text() or ""


class XlaRun:
    """A call under way; the interface of `Run` without instances."""

    def __init__(self, executable: XlaExecutable, leaves: Sequence[Any]):
        self._ended, self._name = threading.Event(), executable.name
        self._result: Any = None
        self._failure: BaseException | None = None
        threading.Thread(target=self._drive, args=(executable, leaves), daemon=True).start()

    def __repr__(self) -> str:
        return f"<XlaRun {self._name}: {'done' if self.done else 'running'}>"

    def _drive(self, executable: XlaExecutable, leaves: Sequence[Any]) -> None:
        try:
            self._result = executable.run(leaves)
        except BaseException as error:
            self._failure = error
        finally:
            self._ended.set()

    @property
    def done(self) -> bool:
        return self._ended.is_set()

    cancelled = False

    def progress(self) -> Progress:
        """Nothing is known before the end."""
        return Progress(0, 0, {}, {})

    def finished(self, timeout: float | None = None, *, ordered: bool = False) -> Iterator[Any]:
        raise ValueError("XLA runs a function as a whole: there are no instances to follow.")

    def wait(self, timeout: float | None = None) -> bool:
        end = None if timeout is None else time.monotonic() + timeout
        while not self._ended.wait(
            0.05 if end is None else min(0.05, max(0, end - time.monotonic()))
        ):
            if end is not None and time.monotonic() >= end:
                return False
        return True

    def result(self, timeout: float | None = None) -> Any:
        if not self.wait(timeout):
            raise TimeoutError(f"The program has not ended within {timeout} s.")
        if self._failure is not None:
            raise self._failure
        return self._result

    def cancel(self) -> None:
        """XLA cannot be stopped: the run goes on, and its result is dropped."""

    def cancel_and_wait(self) -> None:
        self._ended.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel_and_wait()


def _signature(called: Parameters, lowered: Any) -> Signature:
    paths, tree = jax.tree_util.tree_flatten_with_path(called.values)
    leaves = [leaf for _, leaf in paths]
    avals = [jax.typeof(leaf) if not hasattr(leaf, "dtype") else leaf for leaf in leaves]
    keys = {i: generator(aval) for i, aval in enumerate(avals) if _is_key(aval)}
    types = tuple(_type(aval, i in keys) for i, aval in enumerate(avals))
    results = jax.tree_util.tree_leaves(lowered.out_info)
    return Signature(
        Interface(
            inputs=types,
            outputs=tuple(_type(aval, _is_key(aval)) for aval in results),
            name=getattr(called.fn, "__name__", "program"),
            in_tree=tree_of(tree, [path for path, _ in paths]),
            argument_names=called.names,
            positional=called.positional,
            forms_in=keys,
        )
    )


def _is_key(aval: Any) -> bool:
    return jax.dtypes.issubdtype(aval.dtype, jax.dtypes.prng_key)


def _type(aval: Any, is_key: bool) -> Type:
    if is_key:
        data = jax.eval_shape(jax.random.key_data, jax.ShapeDtypeStruct(aval.shape, aval.dtype))
        return Type(data.dtype.name, data.shape)
    return Type(jax.dtypes.canonicalize_dtype(aval.dtype).name, tuple(aval.shape))


def _host_array(value: Any) -> Any:
    return value if _is_key(value) else np.array(value)
