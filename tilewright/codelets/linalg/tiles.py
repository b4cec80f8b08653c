"""Tiles of unknowns, rows of vectors, held in registers while what is known is subtracted.

In: a function being written, and how factors and unknowns lie in memory. Out: lines that compute
unknowns X with F X = B, F lower triangular, over B: those of `rows` rows, for vectors side by side,
from all rows above. Always: the order of `graph/ops/linalg.py`, an element's products one after the
other; so tiles of any size give the same bits.

Lanes run along a row of unknowns, and an element of F stands for all of them; or they run along a
batch of systems, and F has an element `each`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tilewright.codelets.emit.arithmetic import Arithmetic
from tilewright.codelets.emit.llvm import MEMORY_TYPE, Features, Function, vector
from tilewright.codelets.emit.loops import repeat
from tilewright.codelets.emit.registers import literal
from tilewright.codelets.emit.vectors import load, load_scalar, offset, splat, store, suffix
from tilewright.frozen import frozen

Rows = list[list[str]]
"""A register for each row and each vector of it."""


def tile_shape(features: Features, vectors: int) -> tuple[int, int]:
    """Rows and vectors of a tile, of so many vectors in a row: as many as registers hold."""
    if vectors == 1:
        return 8, 1
    return (4, 4) if features.registers >= 32 else (4, 2)


def over_lanes(
    function: Function,
    lanes: int,
    width: int,
    pointers: Sequence[tuple[str, str]],
    body: Callable[[list[str], int | None], None],
) -> None:
    """`body` for each vector of a batch: (dtype, first element) moved there, and lanes if fewer."""
    full, rest = divmod(lanes, width)
    here = [pointer for _, pointer in pointers]
    if full:
        with repeat(function, full, [("ptr", pointer) for pointer in here]) as turn:
            body(list(turn.carry), None)
            moved = zip(pointers, turn.carry, strict=True)
            turn.next[:] = [offset(function, at, dtype, width) for (dtype, _), at in moved]
        here = turn.result
    if rest:
        body(here, rest)


@frozen
class Tiles:
    """Strides count elements; `width` 0 stands for scalars, with one unknown in a row."""

    function: Function
    dtype: str
    width: int
    row: int
    """From an unknown to the one below."""
    beside: int
    """From a vector of unknowns to the next in its row."""
    factor_row: int
    factor_column: int
    each: bool = False
    valid: int | None = None
    """With `each`, how many systems there are, if fewer than lanes."""

    @property
    def kind(self) -> str:
        return MEMORY_TYPE[self.dtype]

    @property
    def type(self) -> str:
        return vector(self.kind, self.width)

    @property
    def scalars(self) -> Tiles:
        """The same for one number."""
        return replace(self, width=0)

    # Memory.

    def at(self, pointer: str, elements: int | str) -> str:
        return offset(self.function, pointer, self.dtype, elements)

    def far(self, pointer: str, step: int, count: str) -> str:
        """A pointer moved by `count` (an i64) times a number of elements."""
        return self.at(pointer, self.function.let(f"mul i64 {count}, {step}"))

    def load(self, pointer: str, valid: int | None = None) -> str:
        if not self.width:
            return load_scalar(self.function, self.dtype, pointer)
        return load(self.function, self.dtype, pointer, 1, self.width, valid or self.valid)

    def store(self, value: str, pointer: str, valid: int | None = None) -> None:
        if self.width:
            store(self.function, self.dtype, value, pointer, 1, self.width, valid or self.valid)
        else:
            self.function.do(f"store {self.kind} {value}, ptr {pointer}")

    def factor(self, pointer: str) -> str:
        """An element of F, in all lanes or one for each."""
        if self.each:
            return self.load(pointer)
        return self.everywhere(load_scalar(self.function, self.dtype, pointer))

    def everywhere(self, scalar: str) -> str:
        return splat(self.function, self.kind, self.width, scalar) if self.width else scalar

    # Arithmetic on vectors.

    def number(self, value: float) -> str:
        text = literal(self.kind, value)
        return f"splat ({self.kind} {text})" if self.width else text

    def operate(self, operation: str, x: str, y: str) -> str:
        return self.function.let(f"{operation} {self.type} {x}, {y}")

    def intrinsic(self, name: str, x: str) -> str:
        symbol = f"llvm.{name}.{suffix(self.kind, self.width)}"
        self.function.module.declare(symbol, self.type, self.type)
        return self.function.let(f"call {self.type} @{symbol}({self.type} {x})")

    def reciprocal(self, x: str) -> str:
        return self.operate("fdiv", self.number(1.0), x)

    def minus_product(self, rest: str, x: str, y: str) -> str:
        """rest - x * y."""
        if self.dtype != "float32":
            return self.operate("fsub", rest, self.operate("fmul", x, y))
        x = self.function.let(f"fneg {self.type} {x}")
        return Arithmetic(self.dtype).multiply_add(self.function, self.width, x, y, rest)

    # Tiles.

    def solve(
        self,
        rows: int,
        valids: Sequence[int | None],
        top: str,
        factor: str,
        first: str,
        reciprocals: Sequence[str] | None,
    ) -> None:
        """Solve for `rows` rows from row `first` (an i64) on, in as many vectors as `valids`.

        `top` is where the unknowns of row 0 begin, `factor` the element (first, 0) of F.
        `reciprocals` are those of F's diagonal in these rows; None takes ones.
        """
        places = self._places(rows, valids, self.far(top, self.row, first))
        values, corner = self.reduced(rows, valids, top, factor, first, places)
        for r in range(rows):
            if reciprocals is not None:
                values[r] = [self.operate("fmul", x, reciprocals[r]) for x in values[r]]
            for below in range(r + 1, rows):
                place = self.at(corner, below * self.factor_row + r * self.factor_column)
                self._eliminate(values, below, r, self.factor(place))
            for value, place, valid in zip(values[r], places[r], valids, strict=True):
                self.store(value, place, valid)

    def reduced(
        self,
        rows: int,
        valids: Sequence[int | None],
        top: str,
        factor: str,
        first: str,
        places: Rows,
    ) -> tuple[Rows, str]:
        """What lies in `places` less what the rows above `first` make of it; F's (first, first)."""
        width = len(valids)
        initial = [self.load(p, v) for row in places for p, v in zip(row, valids, strict=True)]
        carry = [(self.type, value) for value in initial] + [("ptr", top), ("ptr", factor)]
        with self.function.loop(0, first, carry=carry) as turn:
            *values, above, beside = turn.carry
            known = [self.load(self.at(above, c * self.beside), v) for c, v in enumerate(valids)]
            for r in range(rows):
                f = self.factor(self.at(beside, r * self.factor_row))
                for c in range(width):
                    i = r * width + c
                    turn.next[i] = self.minus_product(values[i], f, known[c])
            turn.next[-2:] = [self.at(above, self.row), self.at(beside, self.factor_column)]
        *results, _, corner = turn.result
        return [results[r * width : (r + 1) * width] for r in range(rows)], corner

    def _places(self, rows: int, valids: Sequence[int | None], target: str) -> Rows:
        return [
            [self.at(target, r * self.row + c * self.beside) for c in range(len(valids))]
            for r in range(rows)
        ]

    def _eliminate(self, values: Rows, below: int, r: int, factor: str) -> None:
        values[below] = [
            self.minus_product(rest, factor, known)
            for rest, known in zip(values[below], values[r], strict=True)
        ]
