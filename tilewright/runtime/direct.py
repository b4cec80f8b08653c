"""The shortest way into a program whose calls wait for each other: one frame, made once.

In: what an `Executable` is made of; a caller who holds a lock. Out: `caller()`, what it is called
by, with the same arguments and results. Where something is not as in most calls (arguments by name
or not one by one, several workers, the thread for signals asleep, an array that is not quite of the
compiled type), it is called as any other.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.runtime import signals
from tilewright.runtime.executable import Executable
from tilewright.runtime.memory import address
from tilewright.runtime.results import TOGETHER

if TYPE_CHECKING:
    from tilewright.runtime.frame import Frame


Way = tuple["Frame", Callable[[], np.ndarray]]
"""A frame whose `apply` writes the result to the array that is its only piece; what makes one."""


class Direct(Executable):
    """An Executable that is called once at a time."""

    def caller(self) -> Callable[..., Any]:
        """It itself where its workers are several, or its results, or those are large."""
        if self.workers == 1 and not self.image.interface.outputs and self._count == 0:
            return self._silent()
        return self._of_one() if self._gives_one() else self

    def way(self) -> Way | None:
        """For whoever calls `apply` in the place of a caller: one array to one small array."""
        if not self._gives_one() or self._count != 1:
            return None
        (kind,) = self.image.interface.outputs
        # NumPy aligns to elements, and codelets assume no more.
        return self._frame(line=1), partial(np.empty, kind.shape, kind.numpy)

    def _gives_one(self) -> bool:
        """A small array, by one worker."""
        interface = self.image.interface
        is_array = interface.out_tree is None or interface.out_tree.is_leaf
        one = len(interface.outputs) == 1 and is_array and not interface.forms_out
        return self.workers == 1 and one and interface.outputs[0].nbytes <= TOGETHER

    def _silent(self) -> Callable[[], None]:
        """Without arguments and results."""
        frame, watcher = self._frame(), signals.watcher
        apply, nothing = frame.apply, ()

        def call() -> None:
            if not watcher.awake or apply(nothing, nothing):
                self()

        call.frame = frame  # type: ignore[attr-defined]  # lives as long
        return call

    def _of_one(self) -> Callable[..., Any]:
        """With one small array to give: it is written to lines of its own, which stay, and copied;
        that takes less than to have others each time."""
        (frame, pieces, copy), watcher = self._copied(), signals.watcher
        apply, count = frame.apply, self._count

        def call(*leaves: Any, **named: Any) -> Any:
            if named or len(leaves) != count or not watcher.awake or apply(leaves, pieces):
                return self(*leaves, **named)
            return copy()

        call.frame = frame  # type: ignore[attr-defined]  # lives as long
        return call

    def _copied(self) -> tuple[Frame, tuple[np.ndarray, ...], Callable[[], np.ndarray]]:
        """A frame; memory for the result, as its `apply` wants it; what copies it from there."""
        frame, pieces = self._frame(), self._results.pieces()
        (place,) = self._results.place(pieces, frame.shifts)
        (kept,) = self._results.arrays(pieces, frame.shifts)
        assert address(kept) == place
        return frame, pieces, kept.copy
