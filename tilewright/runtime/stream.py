"""The host's side of a top-level map: which instances are done, and their rows.

In: an Executable and the arrays of a call. Out: rows of finished instances, each once. With a ring,
mapped inputs and outputs have `slots` rows instead of one an instance: instance i lives in slot
i % slots, and the slot is reused when every instance up to i has been taken: see
`codegen/context.py`.

One lock guards all of it, so several threads may take. A lock is also a memory fence, which is what
makes rows visible before the watermark that announces them.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tilewright.graph.ir import Type
from tilewright.image import Streamed
from tilewright.runtime.frame import Frame
from tilewright.runtime.memory import address, aligned

if TYPE_CHECKING:
    from tilewright.runtime.executable import Executable

RING_BYTES = 64 << 20
"""What a ring may hold if its reader does not say; but room for a few instances a worker."""


class Stream:
    """The frame of one run, its arrays, and what has been taken from it."""

    def __init__(
        self, executable: Executable, leaves: Sequence[Any], *, ring: bool, slots: int | None
    ):
        self._executable, self._image = executable, executable.image
        self._interface = self._image.interface
        self._has_map = self._image.streamed is not None
        self._streamed = self._image.streamed or Streamed(0)
        if ring:
            self.check_map()
        self.ring = ring
        self.count = self._streamed.count
        self._slots = max(1, self._ring_length(slots) if ring else self.count)
        self.frame = Frame(self._image, executable.function, executable.workers, slots=self._slots)
        self.frame.reset(0)
        self._lock, self._fence = threading.Lock(), threading.Lock()
        self._low = self._filled = self._taken_count = 0
        self._taken = np.zeros(self._slots, np.bool_)
        self._whole: dict[int, np.ndarray] | None = None
        self._sources = [executable.signature.plain(i, leaf) for i, leaf in enumerate(leaves)]
        self._inputs = self._point_at_inputs()
        self._outputs = self._point_at_outputs()
        self._refill()

    @property
    def exhausted(self) -> bool:
        """Every instance has been taken."""
        return self._taken_count == self.count

    def check_map(self) -> None:
        if not self._has_map:
            raise ValueError("The function has no map on its top level that could be followed.")

    def take(self, ordered: bool) -> tuple[int, Any] | None:
        """An instance that is done and its rows, if there is one."""
        with self._lock:
            index = self._next(ordered)
            if index is None:
                return None
            slot = index % self._slots
            rows: list[np.ndarray | None] = [None] * len(self._outputs)
            for position in self._streamed.outputs:
                row = self._outputs[position][slot, ...]  # of a vector, too, an array
                rows[position] = np.array(row) if self.ring else row
            self._release()
        return index, self._executable.result(rows)

    def collect(self) -> None:
        """From now on keep all rows, for `results`."""
        if not self.ring or self._whole is not None:
            return
        if self._taken_count:
            raise RuntimeError("A streaming run has a result only if no instance was taken.")
        types = [self._interface.outputs[i] for i in self._streamed.outputs]
        self._whole = {
            i: aligned(t.shape, t.numpy, t.nbytes)[0]
            for i, t in zip(self._streamed.outputs, types, strict=True)
        }

    def drain_all(self) -> None:
        """Move finished instances to where `collect` keeps them."""
        while self._whole is not None:
            with self._lock:
                index = self._next(ordered=False)
                if index is None:
                    return
                for position, whole in self._whole.items():
                    whole[index] = self._outputs[position][index % self._slots]
                self._release()

    def results(self) -> list[np.ndarray]:
        """All outputs, of a run that has ended."""
        whole = self._whole or {}
        return [whole.get(i, output) for i, output in enumerate(self._outputs)]

    def _next(self, ordered: bool) -> int | None:
        """Claim an instance that is done and not taken."""
        if self._low == self.count:
            return None
        first = self._low % self._slots
        ready = self.frame.done > self._taken
        slot = first + int(ready[first:].argmax())
        if not ready[slot] and first:
            slot = int(ready[:first].argmax())
        if not ready[slot] or (ordered and slot != first):
            return None
        with self._fence:  # between the flag and the rows that it announces
            self._taken[slot] = True
        self._taken_count += 1
        return self._low + (slot - first) % self._slots

    def _release(self) -> None:
        """Let go of the slots of the oldest instances, as far as they are taken."""
        low = self._low
        while low < self.count and low - self._low < self._slots and self._taken[low % self._slots]:
            low += 1
        if not self.ring or low == self._low:
            self._low = self._low if self.ring else low
            return
        for index in range(self._low, low):
            self.frame.done[index % self._slots] = 0
            self._taken[index % self._slots] = False
        self._low = low
        self._refill()
        self.frame.drained.value = low

    def _refill(self) -> None:
        """Copy the rows of instances whose slots are free, then announce them."""
        filled = min(self.count, self._low + self._slots)
        if self.ring:
            for position in self._streamed.inputs:
                for index in range(self._filled, filled):
                    self._inputs[position][index % self._slots] = self._sources[position][index]
        with self._fence:  # the fence between rows and watermark
            self._filled = self.frame.filled.value = filled

    def _ring_length(self, slots: int | None) -> int:
        if slots is not None and slots < 1:
            raise ValueError(f"slots must be 1 or more, not {slots}.")
        mapped = [self._interface.inputs[i] for i in self._streamed.inputs]
        mapped += [self._interface.outputs[i] for i in self._streamed.outputs]
        row = max(1, sum(t.nbytes for t in mapped) // max(1, self.count))
        default = max(4 * self._executable.workers, min(4096, RING_BYTES // row))
        return min(slots or default, max(1, self.count))

    def _point_at_inputs(self) -> list[np.ndarray]:
        hidden, arrays = len(self._image.constants), []
        for position, source in enumerate(self._sources):
            array = source
            if self.ring and position in self._streamed.inputs:
                array = self._rows(self._interface.inputs[position])
            self.frame.inputs[hidden + position] = address(array)
            arrays.append(array)
        return arrays

    def _point_at_outputs(self) -> list[np.ndarray]:
        arrays = []
        for position, type_ in enumerate(self._interface.outputs):
            if self.ring and position in self._streamed.outputs:
                array = self._rows(type_)
            else:
                array = aligned(type_.shape, type_.numpy, type_.nbytes)[0]
            self.frame.outputs[position] = address(array)
            arrays.append(array)
        return arrays

    def _rows(self, type_: Type) -> np.ndarray:
        ring = Type(type_.dtype, (self._slots, *type_.shape[1:]))
        return aligned(ring.shape, ring.numpy, ring.nbytes)[0]
