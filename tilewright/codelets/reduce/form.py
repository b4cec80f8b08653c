"""What the ways of writing a reduction have: see `row.py`, `column.py` and `by_row.py`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tilewright.codelets.emit.halving import Lane, halved
from tilewright.codelets.emit.llvm import Function, vector
from tilewright.codelets.emit.vectors import offset
from tilewright.codelets.reduce.source import Indices, Source, alone
from tilewright.graph.law import LANES

if TYPE_CHECKING:
    from tilewright.codelets.reduce.codelet import Reduce


class Form(ABC):
    """The function of one codelet in the making; `lanes` is memory for vectors of 16 sums."""

    lanes: str

    def __init__(self, function: Function, codelet: Reduce):
        self.function = function
        self.codelet = codelet
        self.source = Source(function, codelet)
        self.kind = self.source.combination.register
        self.apply = self.source.combination.apply
        self.row = vector(self.kind, LANES)
        self.start = self.source.identity(codelet.kind, LANES)
        self.count = codelet.count

    @abstractmethod
    def write(self, pointers: list[str]) -> None:
        """The body of its function; the last pointer is the total's."""

    def _moved(
        self, pointers: Sequence[str], dtypes: Sequence[str], steps: Sequence[int], outputs: int
    ) -> list[str]:
        """The places so many outputs further on."""
        return [
            offset(self.function, pointer, dtype, outputs * step)
            for pointer, dtype, step in zip(pointers, dtypes, steps, strict=True)
        ]

    def keep(self, slot: str | int, value: str, first: str = "") -> None:
        """Store a vector of sums in a slot of `lanes`, or of those that begin at `first`."""
        place = self.function.address(first or self.lanes, self.row, slot)
        self.function.do(f"store {self.row} {value}, ptr {place}, align 64")

    def kept(self, slot: str | int, first: str = "") -> str:
        """What `keep` put there."""
        place = self.function.address(first or self.lanes, self.row, slot)
        return self.function.let(f"load {self.row}, ptr {place}, align 64")

    def halved(self, lanes: Sequence[Lane]) -> str:
        """Sixteen lanes as one."""

        def combine(x: str, y: str) -> str:
            return self.apply(self.function, LANES, x, y)

        return halved(lanes, combine, self.start)


class Along(Form):
    """Vectors run along the domain's last dimension, which is kept: its columns."""

    def __init__(self, function: Function, codelet: Reduce):
        super().__init__(function, codelet)
        self.last = len(codelet.shape) - 1
        self.columns = codelet.shape[-1] if codelet.shape else 1
        self.steps = [steps[-1] if codelet.shape else 0 for steps in codelet.walked]
        self.out_step = codelet.output_strides[-1] if codelet.shape else 0
        self.leaf = codelet.leaf

    def valid(self, columns: int) -> list[int]:
        """Of how many lanes each vector has a column."""
        return [min(LANES, columns - i) for i in range(0, columns, LANES)]

    def value(
        self, pointers: Sequence[str], at: int, valid: int, first: str, indices: Indices
    ) -> str:
        """The expression on vector `at` of the columns that begin at `first`."""
        (result,) = self.values(pointers, at, valid, first, indices)
        return result

    def values(
        self, pointers: Sequence[str], at: int, valid: int, first: str, indices: Indices
    ) -> list[str]:
        """The same, of each total."""
        source, function = self.source, self.function
        places = self._moved(pointers, source.dtypes, self.steps, at * LANES)
        here: Indices = {}
        if source.indexed:
            column = function.let(f"add i64 {first}, {at * LANES}")
            here = source.spread(indices) | {self.last: source.counted(column)}
        found = source.values(places, self.steps, valid, here)
        if self.count > 1:
            return found
        return [alone(function, source.combination, LANES, value) for value in found]
