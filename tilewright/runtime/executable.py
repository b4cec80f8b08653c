"""`Executable`: a compiled function that is called like the original.

In: arrays, scalars or pytrees of them, as compiled for. Out: the same pytrees, of fresh NumPy
arrays on cache-line boundaries. Calls may come from any number of threads at once.

The calling thread is the program's worker 0, the gang is the others, and Ctrl-C is heard while it
runs (`signals.py`). Arguments that are arrays of exactly the compiled types are checked and handed
over in native code (`call_text.py`); any others are made such arrays first.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.codegen.context import LINE
from tilewright.codegen.link import Loaded, load
from tilewright.files import Written
from tilewright.image import Image, Interface
from tilewright.machine.host import host_machine
from tilewright.runtime import signals
from tilewright.runtime.frame import Frame, FramePool
from tilewright.runtime.gang import MOST_WORKERS, default_workers, helped
from tilewright.runtime.layout import expected
from tilewright.runtime.made import Origin
from tilewright.runtime.native import native, support
from tilewright.runtime.results import Lasting, results_of
from tilewright.runtime.run import Run
from tilewright.runtime.signature import Signature

if TYPE_CHECKING:
    from tilewright.report import Profile, Report


class Executable:
    """Call it, `start` it, or `bind` some of its arguments.

    `lasting` is for a program that is run once, and whose results others read at every call.
    """

    def __init__(
        self,
        compiled: Origin,
        *,
        loaded: Loaded | None = None,
        signature: Signature | None = None,
        lasting: bool = False,
    ):
        self.compiled = compiled
        self.image = image = compiled.image
        interface = image.interface
        self.signature = signature or Signature(interface)
        self._loaded = loaded or load(image.object, imports=support())
        self.function = self._loaded["tilewright_run"]
        self.workers = _workers(image)
        self._results = (Lasting if lasting else results_of)(interface.outputs)
        span = self.signature.span
        self._span = range(len(interface.inputs)) if span is None else span
        kinds = interface.inputs[self._span.start : self._span.stop]
        self._expected = expected(kinds, self.signature.finite)
        self._pool = FramePool(self._frame)
        self._count = -1 if span is None else len(span)
        self._alone = self.workers == 1
        self._unflatten = _result_builder(interface)

    # Running

    def __call__(self, *args: Any, **named: Any) -> Any:
        is_flat = len(args) == self._count and not named
        leaves = args if is_flat else self._leaves(args, named)
        pieces = self._results.pieces()
        frame = self._pool.take()
        try:
            if self._alone and signals.watcher.awake:  # as most calls are
                if frame.apply(leaves, pieces):
                    self._apply_others(frame, leaves, pieces)
            else:
                with helped(frame):
                    if frame.apply(leaves, pieces):
                        self._apply_others(frame, leaves, pieces)
            results = self._results.arrays(pieces, frame.shifts)
        finally:
            self._pool.give_back(frame)
        return self._unflatten(results)

    def start(
        self, *args: Any, stream: bool = False, slots: int | None = None, **named: Any
    ) -> Run:
        """Run in the background.

        With `stream`, results of the top-level map pass through a ring of `slots` instances and
        must be taken with `Run.finished`: memory does not grow with the number of instances.
        """
        return Run(self, self.signature.leaves(args, named), stream=stream, slots=slots)

    def bind(self, *args: Any, **named: Any) -> Executable:
        """Fix leading arguments by position, or any by the name of the function's parameter.

        Returns an Executable that takes the rest, in order. Fixed arrays are checked and copied,
        and what hangs on them alone is computed once, now.
        """
        signature = self.signature.bind(args, named)
        packed = self.compiled.bound(signature.fixed)
        loaded = self._loaded if packed.image.object is self.image.object else None
        return Executable(packed, loaded=loaded, signature=signature)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Leave the program in a file, for `tilewright.load`, in one step.

        It holds the signature, the graph, what the function closes over and what is bound, but no
        machine code: any host may load it. Raises ArgumentError for a structure that no file can
        hold (an argument, not bound, of a class that the user registered with JAX).
        """
        self.compiled.save(Path(path), self.signature.bound)

    def export(
        self, folder: str | os.PathLike[str], name: str, *, nan: str = "refuse", tiles: int = 1
    ) -> Written:
        """Leave it as a library for C and C++: `NAME.h`, `NAME.o`, `libNAME.a`, an example, a file
        for CMake, and `libNAME.so` where this host has a linker.

        It holds code for AVX2 and AVX-512, of which the library takes what its host has, and all
        data; it needs no Python. Arguments that are not bound are given with each call. What a
        program with a state does about a float32 that is not finite, `nan` says: "refuse" the call,
        "hold" the last value in its place, or let it "pass". A call runs on the thread that makes
        it; with several `tiles`, a gang of threads (`NAME_gang.c`) may help. Raises ArgumentError
        for another policy, more than 64 tiles, and a name that C does not take.
        """
        return self.compiled.export(
            self.signature, self._begins_with, Path(folder), name, nan, tiles
        )

    @property
    def _begins_with(self) -> Mapping[int, Sequence[np.ndarray]]:
        """The state, by argument: none."""
        return {}

    def outputs(self) -> tuple[np.ndarray, ...]:
        """The results of a program without arguments, one by one."""
        results = self()
        return results if isinstance(results, tuple) else (results,)

    # Arguments and results

    def _leaves(self, args: Sequence[Any], named: Mapping[str, Any]) -> tuple[Any, ...]:
        """Of a call that does not give them one by one."""
        leaves = self.signature.leaves(args, named)
        return tuple(leaves[self._span.start : self._span.stop])

    def _frame(self, line: int = LINE) -> Frame:
        return Frame(
            self.image,
            self.function,
            self.workers,
            expected=self._expected,
            results=self._results,
            span=self._span,
            ready=self.signature.ready,
            line=line,
        )

    def _apply_others(
        self, frame: Frame, leaves: tuple[Any, ...], pieces: tuple[np.ndarray, ...]
    ) -> None:
        """A call whose leaves are not all exact: make them so, then run."""
        plain, first = self.signature.plain, self._span.start
        exact = tuple([plain(i, leaf) for i, leaf in enumerate(leaves, first)])
        if frame.apply(exact, pieces):  # a dtype, or a layout, unknown to it; a gap
            if self.signature.finite:
                self.signature.check_finite(exact, first)
            frame.point_at(exact, self._results.place(pieces, frame.shifts))
            frame.reset()
            native().tw_drive(frame.address)

    def result(self, outputs: Sequence[np.ndarray | None]) -> Any:
        """Outputs in the tree that the function returns; None stays for those left out."""
        return self._unflatten(outputs)

    # Looking inside

    def __repr__(self) -> str:
        """`<Executable layer(x: float32[3,4]) -> float32[4], 2 threads>`"""
        threads = f"{self.workers} thread{'s' * (self.workers > 1)}"
        return f"<Executable {self.signature.shown()}, {threads}>"

    def report(self) -> Report:
        """Supersteps, operations, bytes a tile against its caches, what limits each part, and the
        limit of any plan."""
        from tilewright.report import report  # not before it is asked for: it takes rich along

        return report(self.compiled.program, host_machine(), self.workers, self.compiled.graph)

    def profile(self, *args: Any, **named: Any) -> Profile:
        """Run warm with clocks in the program: the time of each superstep, barrier and codelet."""
        from tilewright.runtime.timed import timed

        return timed(self, *args, **named)

    def trips(self, *args: Any, **named: Any) -> dict[str, Any]:
        """Run once and say how often loops of unknown length turned, each time they were entered.

        For `tilewright.compare`: a number a loop, or an array with one for each instance of the
        top-level map.
        """
        from tilewright.runtime.recorded import recorded

        return recorded(self, args, named)

    @cached_property
    def graph(self) -> str:
        """The operations, after all rewrites, as text (`compiled.graph` is the object)."""
        from tilewright.graph.text import to_text

        return to_text(self.compiled.graph, short=True)

    @cached_property
    def program(self) -> str:
        """The plan as text: buffers, supersteps, vertices (`compiled.program` is the object)."""
        from tilewright.plan.text import program_to_text

        return program_to_text(self.compiled.program)

    @property
    def llvm(self) -> str:
        """The module's text before LLVM's passes."""
        return self.compiled.llvm

    @cached_property
    def assembly(self) -> str:
        """What LLVM makes of it for this host."""
        from tilewright.codegen.host import assembly

        return assembly(self.llvm)


def _workers(image: Image) -> int:
    """Threads for it."""
    if not image.shared_work:
        return 1
    return min(image.tiles or MOST_WORKERS, default_workers())


def _result_builder(interface: Interface) -> Callable[[Sequence[Any]], Any]:
    """What makes the function's result of its leaves."""
    tree, forms = interface.out_tree, dict(interface.forms_out)
    if tree is None:
        build = _only if len(interface.outputs) == 1 else tuple
    elif tree.is_leaf:
        build = _only
    else:
        build = tree.unflatten
    if not forms:
        return build
    return lambda outputs: build(in_form(outputs, forms))


def _only(outputs: Sequence[Any]) -> Any:
    return outputs[0]


def in_form(outputs: Sequence[Any], forms: Mapping[int, Any]) -> list[Any]:
    """Words as PRNG keys, and bools as `float0`, where the function returns those."""
    import jax

    def formed(output: Any, form: Any) -> Any:
        if output is None or form is None:
            return output
        if form == "float0":
            return np.zeros(output.shape, jax.dtypes.float0)
        return jax.random.wrap_key_data(output, impl=form)

    return [formed(output, forms.get(i)) for i, output in enumerate(outputs)]
