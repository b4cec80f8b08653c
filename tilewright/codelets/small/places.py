"""Where a few elements are while a small vertex works on them: in a register, or in memory.

In: positions of elements, counted from a view's first one. Out: vectors of memory type with one
element a lane, in the order asked for. Always: a vector has 4, 8 or 16 lanes (one element is a
scalar, width 0); lanes beyond the elements hold copies of one of them, so that nothing is computed
from rubbish.

A register is a variable on the stack that is only ever read and written whole, or at places known
in advance: LLVM keeps it in a machine register, through loops and branches.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from tilewright.codelets.base import LANES, Operand
from tilewright.codelets.emit.llvm import MEMORY_TYPE, Function, vector
from tilewright.codelets.emit.vectors import (
    itemsize,
    load_scalar,
    offset,
    shuffle,
    splat,
    store_scalar,
)
from tilewright.frozen import frozen

MOST = LANES
"""Elements that are held in one register."""


def width_of(count: int) -> int:
    """Lanes for `count` elements."""
    return 0 if count == 1 else next(width for width in (4, 8, 16) if count <= width)


def positions(operand: Operand) -> list[int]:
    """Of all its elements, in row-major order."""
    found = [0]
    for n, stride in zip(operand.shape, operand.strides, strict=True):
        found = [place + i * stride for place in found for i in range(n)]
    return found


def padded(lanes: Sequence[int]) -> list[int]:
    """As many as a vector has, the last one repeated."""
    return [*lanes, *[lanes[-1]] * (width_of(len(lanes)) - len(lanes))]


def picked(function: Function, kind: str, value: str, width: int, lanes: Sequence[int]) -> str:
    """Lanes of a vector (or scalar) of `width` as a vector of their own."""
    if not width:
        return splat(function, kind, width_of(len(lanes)), value) if len(lanes) > 1 else value
    if len(lanes) == 1:
        return function.let(f"extractelement {vector(kind, width)} {value}, i64 {lanes[0]}")
    wanted = padded(lanes)
    if list(lanes) == list(range(len(lanes))) and len(wanted) == width:
        return value
    return shuffle(function, kind, width, value, "poison", wanted)


class Place(ABC):
    """Elements of one dtype."""

    dtype: str

    @property
    def kind(self) -> str:
        return MEMORY_TYPE[self.dtype]

    @abstractmethod
    def address(self, function: Function) -> str:
        """Of the first element, for loads and stores at places that are known."""

    @abstractmethod
    def read(self, function: Function, elements: Sequence[int]) -> str: ...

    @abstractmethod
    def write(self, function: Function, elements: Sequence[int], value: str) -> None:
        """`value` has a lane for each, and those beyond."""


@frozen
class InRegister(Place):
    """`size` elements in the variable at `slot`; a view's first element is number `first`."""

    dtype: str
    slot: str
    size: int
    first: int = 0

    @property
    def type(self) -> str:
        return vector(self.kind, width_of(self.size))

    def address(self, function: Function) -> str:
        return offset(function, self.slot, self.dtype, self.first)

    def whole(self, function: Function) -> str:
        return function.let(f"load {self.type}, ptr {self.slot}")

    def replace(self, function: Function, value: str) -> None:
        function.do(f"store {self.type} {value}, ptr {self.slot}")

    def read(self, function: Function, elements: Sequence[int]) -> str:
        lanes = [self.first + i for i in elements]
        return picked(function, self.kind, self.whole(function), width_of(self.size), lanes)

    def write(self, function: Function, elements: Sequence[int], value: str) -> None:
        lanes, width = [self.first + i for i in elements], width_of(self.size)
        source = {lane: i for i, lane in enumerate(lanes)}
        if len(source) == self.size:
            order = [source[lane] for lane in range(self.size)]
            self.replace(function, picked(function, self.kind, value, width, order))
            return
        wide = picked(function, self.kind, value, width_of(len(lanes)), range(len(lanes)))
        if width_of(len(lanes)) != width:
            spread = [source.get(lane, 0) for lane in range(width)]
            wide = _spread(function, self.kind, value, width_of(len(lanes)), spread)
            source = {lane: lane for lane in lanes}
        mixed = [width + source[i] if i in source else i for i in range(width)]
        old = self.whole(function)
        self.replace(function, shuffle(function, self.kind, width, old, wide, mixed))


def _spread(function: Function, kind: str, value: str, width: int, lanes: Sequence[int]) -> str:
    """Exactly those lanes."""
    if not width:
        return splat(function, kind, len(lanes), value)
    return shuffle(function, kind, width, value, "poison", lanes)


@frozen
class InMemory(Place):
    """Elements from `pointer` on."""

    dtype: str
    pointer: str

    def address(self, function: Function) -> str:
        return self.pointer

    def read(self, function: Function, elements: Sequence[int]) -> str:
        count = len(elements)
        if len(set(elements)) == 1:
            scalar = load_scalar(function, self.dtype, self._at(function, elements[0]))
            return picked(function, self.kind, scalar, 0, [0] * count)
        if _neighbours(elements):
            row, align = vector(self.kind, count), itemsize(self.dtype)
            pointer = self._at(function, elements[0])
            value = function.let(f"load {row}, ptr {pointer}, align {align}")
            if count == width_of(count):
                return value
            return shuffle(function, self.kind, count, value, "poison", padded(range(count)))
        row, value = vector(self.kind, width_of(count)), "poison"
        for lane, element in enumerate(padded(elements)):
            scalar = load_scalar(function, self.dtype, self._at(function, element))
            value = function.let(f"insertelement {row} {value}, {self.kind} {scalar}, i64 {lane}")
        return value

    def write(self, function: Function, elements: Sequence[int], value: str) -> None:
        count, width = len(elements), width_of(len(elements))
        if count > 1 and _neighbours(elements):
            lanes = list(range(count))
            if count != width:
                value = shuffle(function, self.kind, width, value, "poison", lanes)
            row, align = vector(self.kind, count), itemsize(self.dtype)
            pointer = self._at(function, elements[0])
            function.do(f"store {row} {value}, ptr {pointer}, align {align}")
            return
        for lane, element in enumerate(elements):
            scalar = picked(function, self.kind, value, width, [lane])
            store_scalar(function, self.dtype, scalar, self._at(function, element))

    def _at(self, function: Function, element: int) -> str:
        return offset(function, self.pointer, self.dtype, element)


def _neighbours(elements: Sequence[int]) -> bool:
    return list(elements) == list(range(elements[0], elements[0] + len(elements)))
