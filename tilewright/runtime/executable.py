"""`Executable`: a compiled function that is called like the original.

In: arrays, scalars or pytrees of them, as compiled for. Out: the same pytrees, of fresh NumPy
arrays on cache-line boundaries. Calls may come from any number of threads at once.

Three ways to run, all with the same bits: a short program for one worker runs right here; a short
one for several has this thread as worker 0 and the gang as the others; a long one is the gang's
alone, while this thread waits and listens for Ctrl-C.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from tilewright.codegen.host import Loaded, load
from tilewright.errors import ArgumentError
from tilewright.runtime.arguments import plain
from tilewright.runtime.compiled import Compiled
from tilewright.runtime.frame import Frame, FramePool
from tilewright.runtime.gang import default_workers
from tilewright.runtime.memory import address, aligned
from tilewright.runtime.native import native
from tilewright.runtime.run import Run, execute


class Executable:
    """Call it, `start` it, or `bind` some of its arguments."""

    def __init__(
        self,
        compiled: Compiled,
        *,
        loaded: Loaded | None = None,
        bound: dict[int, Any] | None = None,
    ):
        self.compiled = compiled
        self._loaded = loaded or load(compiled.object)
        self.function = self._loaded["tilewright_run"]
        self.workers = max(1, min(compiled.workers, default_workers()))
        self._bound = bound or {}
        self._pool = FramePool(compiled, self.workers)
        self._call_native = native().tw_call
        self._alone = compiled.short and self.workers == 1
        self._hidden = len(compiled.constants)
        self._inputs = [
            (type_.numpy, type_.shape, self._hidden + i) for i, type_ in enumerate(compiled.inputs)
        ]
        self._outputs = [(t.shape, t.numpy, t.nbytes) for t in compiled.outputs]
        self._flat = not self._bound and (
            compiled.in_tree is None or _is_flat(compiled.in_tree, len(self._inputs))
        )
        self._unflatten = self._result_builder()

    # Running

    def __call__(self, *args: Any) -> Any:
        frame = self._pool.take()
        try:
            kept = self.fill(frame, args)
            results = self.allocate(frame)
            if self._alone:
                self._call_native(self.function, frame.address, 0)
            else:
                execute(self, frame)
            del kept
        finally:
            self._pool.give_back(frame)
        return self._unflatten(results)

    def start(self, *args: Any, stream: bool = False, slots: int | None = None) -> Run:
        """Run in the background.

        With `stream`, results of the top-level map pass through a ring of `slots` instances and
        must be taken with `Run.finished`: memory does not grow with the number of instances.
        """
        return Run(self, list(self._leaves(args)), stream=stream, slots=slots)

    def bind(self, *args: Any, **named: Any) -> Executable:
        """Fix leading arguments by position, or any by the name of the function's parameter.

        Returns an Executable that takes the rest, in order. Fixed arrays are checked and copied.
        """
        total = self._argument_count()
        free = [i for i in range(total) if i not in self._bound]
        if len(args) > len(free):
            raise ArgumentError(f"bind got {len(args)} arguments, but only {len(free)} are free.")
        fixed = dict(zip(free, args, strict=False))
        for name, value in named.items():
            fixed[self._position(name, free, fixed)] = value
        for position, value in fixed.items():
            fixed[position] = self._checked(position, value)
        return Executable(self.compiled, loaded=self._loaded, bound=self._bound | fixed)

    # Arguments and results

    def fill(self, frame: Frame, args: tuple[Any, ...]) -> list[np.ndarray]:
        """Point the frame at the arguments; the arrays returned must live until the run ends."""
        leaves = args if self._flat and len(args) == len(self._inputs) else self._leaves(args)
        kept, pointers = [], frame.inputs
        for leaf, (dtype, shape, slot) in zip(leaves, self._inputs, strict=True):
            if (
                type(leaf) is not np.ndarray
                or leaf.dtype != dtype
                or leaf.shape != shape
                or not (leaf.flags.c_contiguous and leaf.flags.aligned)
            ):
                leaf = self.plain(slot - self._hidden, leaf)
                kept.append(leaf)
            pointers[slot] = address(leaf)
        return kept

    def plain(self, position: int, leaf: Any) -> np.ndarray:
        """One leaf as an array of the compiled type."""
        compiled = self.compiled
        return plain(
            leaf,
            compiled.inputs[position],
            compiled.leaf_name(position),
            position in compiled.keys_in,
        )

    def allocate(self, frame: Frame) -> list[np.ndarray]:
        """Fresh arrays for all outputs, which the frame points at."""
        results, pointers = [], frame.outputs
        for position, (shape, dtype, nbytes) in enumerate(self._outputs):
            array, pointers[position] = aligned(shape, dtype, nbytes)
            results.append(array)
        return results

    def result(self, outputs: Sequence[np.ndarray | None]) -> Any:
        """Outputs in the tree that the function returns; None stays for those left out."""
        return self._unflatten(outputs)

    def _leaves(self, args: tuple[Any, ...]) -> Iterable[Any]:
        total = self._argument_count()
        if len(args) != total - len(self._bound):
            raise ArgumentError(
                f"The function takes {total - len(self._bound)} arguments, but got {len(args)}."
            )
        if self._bound:
            rest = iter(args)
            args = tuple(self._bound[i] if i in self._bound else next(rest) for i in range(total))
        if self.compiled.in_tree is None:
            return args
        return self._flatten(self.compiled.in_tree, args)

    def _flatten(self, tree: Any, value: Any) -> list[Any]:
        import jax

        leaves, found = jax.tree_util.tree_flatten(value)
        if found != tree:
            raise ArgumentError(f"The arguments have the tree {found}, but not {tree}.")
        return leaves

    def _argument_count(self) -> int:
        tree = self.compiled.in_tree
        return len(self._inputs) if tree is None else len(tree.children())

    def _position(self, name: str, free: list[int], fixed: dict[int, Any]) -> int:
        names = self.compiled.argument_names
        if name not in names or names.index(name) not in free:
            raise ArgumentError(f"bind got {name!r}, which is no free argument of the function.")
        if names.index(name) in fixed:
            raise ArgumentError(f"bind got {name!r} twice.")
        return names.index(name)

    def _checked(self, position: int, value: Any) -> Any:
        """A bound argument with its leaves as arrays of our own."""
        tree = self.compiled.in_tree
        if tree is None:
            return np.array(self.plain(position, value))
        children = tree.children()
        first = sum(child.num_leaves for child in children[:position])
        leaves = self._flatten(children[position], value)
        own = [np.array(self.plain(first + i, leaf)) for i, leaf in enumerate(leaves)]
        return children[position].unflatten(own)

    def _result_builder(self) -> Callable[[Sequence[Any]], Any]:
        compiled, keys = self.compiled, dict(self.compiled.keys_out)
        tree = compiled.out_tree
        if tree is None:
            build = _only if len(compiled.outputs) == 1 else tuple
        elif tree.num_nodes == 1 and tree.num_leaves == 1:
            build = _only
        else:
            build = tree.unflatten
        if not keys:
            return build
        return lambda outputs: build(_wrap_keys(outputs, keys))

    # Looking inside

    @property
    def graph(self) -> Any:
        return self.compiled.graph

    @property
    def program(self) -> Any:
        return self.compiled.program

    @property
    def llvm(self) -> str:
        """The module's text before LLVM's passes."""
        return self.compiled.llvm

    @cached_property
    def assembly(self) -> str:
        """What LLVM makes of it for this host."""
        from tilewright.codegen.host import assembly

        return assembly(self.llvm)


def _is_flat(tree: Any, leaves: int) -> bool:
    """Every argument is one array."""
    children = tree.children()
    return len(children) == leaves and all(
        child.num_nodes == 1 and child.num_leaves == 1 for child in children
    )


def _only(outputs: Sequence[Any]) -> Any:
    return outputs[0]


def _wrap_keys(outputs: Sequence[Any], keys: dict[int, str]) -> list[Any]:
    import jax

    return [
        jax.random.wrap_key_data(output, impl=keys[i])
        if i in keys and output is not None
        else output
        for i, output in enumerate(outputs)
    ]
