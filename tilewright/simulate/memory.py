"""The bytes that a program works on: the caller's arrays, the shared arena, an arena for each tile.

In: views of buffers, with the present values of loop variables. Out: `Place`s, and the arrays in
them. Always: every byte that nobody has written is 0xFF, so a float read too early is NaN; a view
that leaves its buffer raises ValueError.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tilewright.frozen import frozen
from tilewright.graph.ir import numpy_dtype
from tilewright.plan.ir import Buffer, Program, Var, View

Key = tuple[str, int]
"""A memory: its space, and which input, output or tile's arena it is."""

FRESH = 0xFF


@frozen
class Place:
    """Where a view lies: its first element's byte and strides in bytes, in one memory."""

    key: Key
    buffer: Buffer
    base: int
    start: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def itemsize(self) -> int:
        return numpy_dtype(self.buffer.dtype).itemsize

    def elements(self, memory: np.ndarray) -> np.ndarray:
        """The elements, as a view of a memory's bytes."""
        dtype = numpy_dtype(self.buffer.dtype)
        return np.ndarray(self.shape, dtype, memory.data, self.start, self.strides)

    def marks(self, shadow: np.ndarray) -> np.ndarray:
        """What `shadow` holds for each byte of each element, as a view of it."""
        size = shadow.itemsize
        return np.ndarray(
            (*self.shape, self.itemsize),
            shadow.dtype,
            shadow.data,
            self.start * size,
            (*(s * size for s in self.strides), size),
        )


@dataclass
class Memory:
    """All memories of one run, by key; each a flat array of bytes."""

    program: Program
    tiles: int
    bytes: dict[Key, np.ndarray] = field(default_factory=dict)

    @staticmethod
    def of(program: Program, inputs: Sequence[np.ndarray], tiles: int) -> Memory:
        """Inputs in place, all else fresh."""
        memory = Memory(program, tiles)
        for buffer, array in zip(program.inputs, inputs, strict=True):
            memory.bytes[buffer.space, buffer.index] = _bytes_of(buffer, array)
        for buffer in (b for b in program.outputs if b.space == "output"):
            memory.bytes["output", buffer.index] = np.full(buffer.nbytes, FRESH, np.uint8)
        memory.bytes["shared", 0] = np.full(program.shared_bytes, FRESH, np.uint8)
        for tile in range(tiles):
            memory.bytes["tile", tile] = np.full(program.tile_bytes, FRESH, np.uint8)
        return memory

    def forget(self, tile: int) -> None:
        """What one instance leaves in its tile's arena is nothing that the next may count on."""
        self.bytes["tile", tile][:] = FRESH

    def place(self, view: View, variables: Mapping[Var, int], tile: int) -> Place:
        """Where `view` is now, as `tile` sees it."""
        buffer, size = view.buffer, numpy_dtype(view.dtype).itemsize
        owned = buffer.space in ("shared", "tile")
        index = {"shared": 0, "tile": tile}.get(buffer.space, buffer.index)
        base = self.program.offsets[buffer] if owned else 0
        element = view.offset + sum(variables[var] * step for var, step in view.moves)
        if view.size:
            _check_inside(view, element)
        strides = tuple(s * size for s in view.strides)
        start = base + element * size if view.size else 0
        return Place((buffer.space, index), buffer, base, start, view.shape, strides)

    def read(self, place: Place) -> np.ndarray:
        """A copy; a byte of a bool counts as true unless it is 0."""
        elements = place.elements(self.bytes[place.key])
        return elements.view(np.uint8) != 0 if elements.dtype == bool else elements.copy()

    def write(self, place: Place, values: np.ndarray) -> None:
        place.elements(self.bytes[place.key])[...] = values

    def array(self, buffer: Buffer) -> np.ndarray:
        """An input's or output's elements, flat."""
        return self.bytes[buffer.space, buffer.index].view(numpy_dtype(buffer.dtype))


def _bytes_of(buffer: Buffer, array: np.ndarray) -> np.ndarray:
    array = np.ascontiguousarray(array)
    if array.dtype != numpy_dtype(buffer.dtype) or array.size != buffer.size:
        found = f"{array.size} of {array.dtype.name}"
        expected = f"{buffer.size} of {buffer.dtype}"
        raise ValueError(f"{buffer.space} {buffer.index} has {found} elements, not {expected}")
    return array.reshape(-1).view(np.uint8).copy()


def _check_inside(view: View, element: int) -> None:
    reach = [(n - 1) * s for n, s in zip(view.shape, view.strides, strict=True)]
    low = element + sum(r for r in reach if r < 0)
    high = element + sum(r for r in reach if r > 0)
    if low < 0 or high >= view.buffer.size:
        raise ValueError(
            f"elements {low} ... {high} of a buffer of {view.buffer.size} ({view.buffer.space})"
        )
