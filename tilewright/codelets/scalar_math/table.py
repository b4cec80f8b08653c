"""Tables of 32 floats, looked up by lane.

In: a table and a register of indices, of which the low five bits count. Out: the entries. Always
exact, so how it is done is the instruction set's affair: permutations of vectors on AVX-512 and
AVX2, loads elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tilewright.codelets.registers import Register, literal

SIZE = 32


@dataclass(frozen=True)
class Table:
    """`name` is its symbol where it has to lie in memory."""

    name: str
    entries: tuple[float, ...]

    def constant(self, start: int, count: int) -> str:
        """Some entries as a constant vector."""
        return (
            "<" + ", ".join(f"float {literal('float', e)}" for e in self._part(start, count)) + ">"
        )

    def _part(self, start: int, count: int) -> Sequence[float]:
        return self.entries[start : start + count]

    def lookup(self, index: Register) -> Register:
        """The entries at the low five bits of an i32 index."""
        bits = index.function.module.features.vector_bits
        if index.width == 16 and bits == 512:
            return self._permuted_16(index)
        if index.width and bits >= 256:
            return self._by_eights(index)
        return self._loaded(index)

    def _permuted_16(self, index: Register) -> Register:
        symbol, row = "llvm.x86.avx512.vpermi2var.ps.512", "<16 x float>"
        index.function.module.declare(symbol, row, row, "<16 x i32>", row)
        low, high = self.constant(0, 16), self.constant(16, 16)
        return index.let(
            f"call {row} @{symbol}({row} {low}, <16 x i32> {index.name}, {row} {high})", "float"
        )

    def _by_eights(self, index: Register) -> Register:
        """Halves of eight lanes; four eighths of the table, then a choice by bits 3 and 4."""
        if index.width == 16:
            halves = [self._by_eights(index.lanes(list(range(i, i + 8)))) for i in (0, 8)]
            return _joined(*halves)
        if index.width < 8:
            wide = index.lanes([lane if lane < index.width else 0 for lane in range(8)])
            return self._by_eights(wide).lanes(list(range(index.width)))
        quarters = [self._permuted_8(index, start) for start in range(0, SIZE, 8)]
        odd, upper = (index & 8).unequal(0), (index & 16).unequal(0)
        low, high = (odd.select(quarters[i + 1], quarters[i]) for i in (0, 2))
        return upper.select(high, low)

    def _permuted_8(self, index: Register, start: int) -> Register:
        symbol, row = "llvm.x86.avx2.permps", "<8 x float>"
        index.function.module.declare(symbol, row, row, "<8 x i32>")
        entries = self.constant(start, 8)
        return index.let(f"call {row} @{symbol}({row} {entries}, <8 x i32> {index.name})", "float")

    def _loaded(self, index: Register) -> Register:
        module, function = index.function.module, index.function
        kind = f"[{SIZE} x float]"
        entries = ", ".join(f"float {literal('float', e)}" for e in self.entries)
        module.declarations[self.name] = f"@{self.name} = private constant {kind} [{entries}]"
        low = index & (SIZE - 1)
        if not index.width:
            return self._entry(low)
        result = index.full(0.0, "float")
        for lane in range(index.width):
            name = function.let(f"extractelement {low.type} {low.name}, i64 {lane}")
            entry = self._entry(Register(function, "i32", 0, name))
            result = result.let(
                f"insertelement {result.type} {result.name}, float {entry.name}, i64 {lane}"
            )
        return result

    def _entry(self, index: Register) -> Register:
        wide = index.cast("zext", "i64")
        place = index.function.address(f"@{self.name}", "float", wide.name)
        return wide.let(f"load float, ptr {place}", "float")


def _joined(low: Register, high: Register) -> Register:
    """Two vectors side by side."""
    width = low.width + high.width
    picks = ", ".join(f"i32 {lane}" for lane in range(width))
    name = low.function.let(
        f"shufflevector {low.type} {low.name}, {low.type} {high.name}, <{width} x i32> <{picks}>"
    )
    return replace(low, width=width, name=name)
