"""`Executable`: a compiled function that is called like the original.

In: arrays, scalars or pytrees of them, as compiled for. Out: the same pytrees, of fresh NumPy
arrays on cache-line boundaries. Calls may come from any number of threads at once.

Three ways to run, all with the same bits: a short program for one worker runs right here; a short
one for several has this thread as worker 0 and the gang as the others; a long one is the gang's
alone, while this thread waits and listens for Ctrl-C.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.codegen.host import Loaded, load
from tilewright.machine.host import host_machine
from tilewright.runtime.compiled import Compiled
from tilewright.runtime.frame import Frame, FramePool
from tilewright.runtime.gang import default_workers
from tilewright.runtime.memory import address, aligned
from tilewright.runtime.native import native, support
from tilewright.runtime.run import Run, execute
from tilewright.runtime.signature import Signature

if TYPE_CHECKING:
    from tilewright.report import Profile, Report


class Executable:
    """Call it, `start` it, or `bind` some of its arguments."""

    def __init__(
        self,
        compiled: Compiled,
        *,
        loaded: Loaded | None = None,
        signature: Signature | None = None,
    ):
        self.compiled = compiled
        self.signature = signature or Signature(
            compiled.inputs,
            compiled.in_tree,
            compiled.argument_names,
            compiled.leaf_names,
            compiled.forms_in,
        )
        self._loaded = loaded or load(compiled.object, imports=support())
        self.function = self._loaded["tilewright_run"]
        self.workers = max(1, min(compiled.workers, default_workers()))
        self._pool = FramePool(compiled, self.workers)
        self._call_native = native().tw_call
        self._alone = compiled.short and self.workers == 1
        self._hidden = len(compiled.constants)
        self._inputs = [
            (type_.numpy, type_.shape, self._hidden + i) for i, type_ in enumerate(compiled.inputs)
        ]
        self._outputs = [(t.shape, t.numpy, t.nbytes) for t in compiled.outputs]
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
        return Run(self, self.signature.leaves(args), stream=stream, slots=slots)

    def bind(self, *args: Any, **named: Any) -> Executable:
        """Fix leading arguments by position, or any by the name of the function's parameter.

        Returns an Executable that takes the rest, in order. Fixed arrays are checked and copied,
        and what hangs on them alone is computed once, now.
        """
        signature = self.signature.bind(args, named)
        pack = self.compiled.pack
        packed = pack(signature.fixed) if pack is not None else self.compiled
        loaded = self._loaded if packed is self.compiled else None
        return Executable(packed, loaded=loaded, signature=signature)

    # Arguments and results

    def fill(self, frame: Frame, args: tuple[Any, ...]) -> Any:
        """Point the frame at the arguments; what is returned must live until the run ends."""
        signature = self.signature
        is_flat = signature.is_flat and len(args) == len(self._inputs)
        leaves = args if is_flat else signature.leaves(args)
        kept, pointers = [], frame.inputs
        for leaf, (dtype, shape, slot) in zip(leaves, self._inputs, strict=True):
            if (
                type(leaf) is not np.ndarray
                or leaf.dtype != dtype
                or leaf.shape != shape
                or not (leaf.flags.c_contiguous and leaf.flags.aligned)
            ):
                leaf = signature.plain(slot - self._hidden, leaf)
                kept.append(leaf)
            pointers[slot] = address(leaf)
        return leaves, kept

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

    def _result_builder(self) -> Callable[[Sequence[Any]], Any]:
        compiled, forms = self.compiled, dict(self.compiled.forms_out)
        tree = compiled.out_tree
        if tree is None:
            build = _only if len(compiled.outputs) == 1 else tuple
        elif tree.num_nodes == 1 and tree.num_leaves == 1:
            build = _only
        else:
            build = tree.unflatten
        if not forms:
            return build
        return lambda outputs: build(_in_form(outputs, forms))

    # Looking inside

    def report(self) -> Report:
        """Supersteps, operations, bytes a tile against its caches, and what limits each part."""
        from tilewright.report import report  # not before it is asked for: it takes rich along

        return report(self.compiled.program, host_machine(), self.workers)

    def profile(self, *args: Any) -> Profile:
        """Run warm with clocks in the program: the time of each superstep, barrier and codelet."""
        from tilewright.runtime.timed import timed

        return timed(self, *args)

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


def _only(outputs: Sequence[Any]) -> Any:
    return outputs[0]


def _in_form(outputs: Sequence[Any], forms: Mapping[int, Any]) -> list[Any]:
    """Words as PRNG keys, and bools as `float0`, where the function returns those."""
    import jax

    def formed(output: Any, form: Any) -> Any:
        if output is None or form is None:
            return output
        if form == "float0":
            return np.zeros(output.shape, jax.dtypes.float0)
        return jax.random.wrap_key_data(output, impl=form)

    return [formed(output, forms.get(i)) for i, output in enumerate(outputs)]
