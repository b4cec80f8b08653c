"""What both ways of writing a reduction have: see `row.py` and `column.py`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tilewright.codelets.emit.llvm import Function, vector
from tilewright.codelets.emit.vectors import offset
from tilewright.codelets.reduce.source import Source
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

    def _keep(self, slot: str, value: str) -> None:
        place = self.function.address(self.lanes, self.row, slot)
        self.function.do(f"store {self.row} {value}, ptr {place}, align 64")
