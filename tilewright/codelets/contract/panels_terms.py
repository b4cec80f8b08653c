"""What one step adds to the sums of rows times panels, or blocks of them: see `panels.py`.

In: the places of a row's and of a panel's d neighbouring k. Out: LLVM text of what they add to a
vector of sums. A term a format of panels; all of them have 32-bit sums.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tilewright.codelets.emit import vectors
from tilewright.codelets.emit.arithmetic import Arithmetic
from tilewright.codelets.emit.llvm import Function, vector
from tilewright.codelets.emit.vectors import itemsize, offset
from tilewright.frozen import frozen
from tilewright.graph.law import LEAF

if TYPE_CHECKING:
    from tilewright.codelets.contract.blocks import ContractBlocks
    from tilewright.codelets.contract.panels import ContractPanels


def term_of(function: Function, codelet: ContractPanels | ContractBlocks, width: int) -> Term:
    """The one of the codelet's panels, in vectors of `width` lanes."""
    dtype = codelet.panels.dtype
    if dtype == "int8":
        return _of_bytes(function, codelet, width)
    if dtype == "float32":
        return _Singles(function, codelet, width)
    pairs = "avx512bf16" in function.module.features.names
    return (_Dots if codelet.paired and pairs else _Halves)(function, codelet, width)


@frozen
class Term(ABC):
    """What one step of d neighbouring k adds to a vector of sums."""

    function: Function
    codelet: ContractPanels | ContractBlocks
    width: int

    kind = "float"
    depth = 2
    node: ClassVar[int | None] = LEAF
    """Terms that are summed from 0, one step after the other; None: all."""
    stepped: ClassVar[bool] = True
    """Whether several steps in a turn are no slower than one."""
    beneath: ClassVar[bool] = False
    """Whether few rows are faster where what follows sums is written among the next ones: not
    where wider panels are waited for, nor where registers are few."""
    planes: ClassVar[int] = 1
    """Parts of a row's elements that are summed each for itself; `joined` makes one sum of them."""

    @abstractmethod
    def row(self, place: str, valid: int, plane: int = 0) -> list[Any]:
        """The d elements of one row of lhs at a place, of which `valid` exist, in every lane."""

    @abstractmethod
    def columns(self, place: str, valid: int) -> list[str]:
        """The d elements of each column."""

    def added(self, x: Sequence[Any], y: Sequence[str], total: str) -> str:
        """By fma, one after the other."""
        arithmetic = Arithmetic("float32")
        for a, b in zip(x, y, strict=True):
            total = arithmetic.multiply_add(self.function, self.width, a, b, total)
        return total

    def joined(self, sums: Sequence[str]) -> str:
        """Of those over each plane."""
        (only,) = sums
        return only

    @property
    def start(self) -> str:
        """What sums start from."""
        return Arithmetic("float32").start(self.codelet.k, self.width)

    @property
    def settled(self) -> Term | None:
        """A cheaper term, for sums from which that over panels of zeros is subtracted, if any."""
        return None

    @property
    def for_one(self) -> Term:
        """What takes a last k that has no neighbour."""
        return self

    def splat(self, kind: str, scalar: str) -> str:
        return vectors.splat(self.function, kind, self.width, scalar)

    def words(self, place: str) -> str:
        """A vector of 32 bits from memory."""
        row, align = vector("i32", self.width), itemsize(self.codelet.panels.dtype)
        return self.function.let(f"load {row}, ptr {place}, align {align}")


class _Singles(Term):
    depth = 1

    def row(self, place: str, valid: int, plane: int = 0) -> list[str]:
        return [self.splat("float", vectors.load_scalar(self.function, "float32", place))]

    def columns(self, place: str, valid: int) -> list[str]:
        return [vectors.load(self.function, "float32", place, 1, self.width)]


class _Halves(Term):
    """bfloat16 as float32: the upper half of a word is one already but for what lies below it."""

    def row(self, place: str, valid: int, plane: int = 0) -> list[str]:
        dtype, found = self.codelet.lhs.dtype, []
        for i in range(valid):
            value = vectors.load_scalar(
                self.function, dtype, offset(self.function, place, dtype, i)
            )
            value = vectors.widen(self.function, value, dtype, "float32", 0)
            found.append(self.splat("float", value))
        return self._ordered(found)

    def columns(self, place: str, valid: int) -> list[str]:
        row, words = vector("i32", self.width), self.words(place)
        shift = vectors.splat_constant("i32", 16, self.width)
        upper = vectors.splat_constant("i32", -0x10000, self.width)
        found = [self.function.let(f"shl {row} {words}, {shift}")]
        if valid == 2:
            found.append(self.function.let(f"and {row} {words}, {upper}"))
        floats = vector("float", self.width)
        return self._ordered(
            [self.function.let(f"bitcast {row} {bits} to {floats}") for bits in found]
        )

    def _ordered(self, pair: list[str]) -> list[str]:
        return pair[::-1] if self.codelet.paired else pair


class _Dots(Term):
    """Pairs of bfloat16 by one instruction."""

    def row(self, place: str, valid: int, plane: int = 0) -> list[str]:
        pair = self.function.let(f"load i32, ptr {place}, align 2")
        return [self._pairs(self.splat("i32", pair))]

    @property
    def settled(self) -> Term | None:
        """A cheaper term, for sums from which that over panels of zeros is subtracted, if any."""
        return None

    @property
    def for_one(self) -> Term:
        """With a product of zeros beside it, a sum of -0 would become +0."""
        return _Halves(self.function, self.codelet, self.width)

    def columns(self, place: str, valid: int) -> list[str]:
        return [self._pairs(self.words(place))]

    def _pairs(self, words: str) -> str:
        row, pairs = vector("i32", self.width), vector("bfloat", 2 * self.width)
        return self.function.let(f"bitcast {row} {words} to {pairs}")

    def added(self, x: Sequence[str], y: Sequence[str], total: str) -> str:
        row, pairs = vector("float", self.width), vector("bfloat", 2 * self.width)
        symbol = f"llvm.x86.avx512bf16.dpbf16ps.{32 * self.width}"
        self.function.module.declare(symbol, row, row, pairs, pairs)
        arguments = f"{row} {total}, {pairs} {x[0]}, {pairs} {y[0]}"
        return self.function.let(f"call {row} @{symbol}({arguments})")


class _Integers(Term):
    """int8 times int16: pairs of products, added in 32 bits by an instruction or two.

    Of several steps LLVM would add the pairs first: an instruction more, and registers (a row of
    256 x 512 on Zen 4: 0.95 of the time by one step a turn).
    """

    kind = "i32"
    node = None
    stepped = False

    @property
    def start(self) -> str:
        return Arithmetic("int32").start(self.codelet.k, self.width)

    def row(self, place: str, valid: int, plane: int = 0) -> list[str]:
        return [self._halves(self.splat("i32", _word(self.function, place, 32, 16, valid)))]

    def _halves(self, words: str) -> str:
        row, halves = vector("i32", self.width), vector("i16", 2 * self.width)
        return self.function.let(f"bitcast {row} {words} to {halves}")

    def columns(self, place: str, valid: int) -> list[str]:
        row, halves = vector("i8", 2 * self.width), vector("i16", 2 * self.width)
        small = self.function.let(f"load {row}, ptr {place}, align 1")
        return [self.function.let(f"sext {row} {small} to {halves}")]

    def added(self, x: Sequence[str], y: Sequence[str], total: str) -> str:
        row = vector("i32", self.width)
        if "avx2" in self.function.module.features.names:
            pairs = _pairs_of_halves(self.function, self.width, x[0], y[0])
        else:
            pairs = self._by_elements(x[0], y[0])
        return self.function.let(f"add {row} {total}, {pairs}")

    def _by_elements(self, x: str, y: str) -> str:
        row, half = vector("i32", self.width), vector("i16", self.width)
        products = []
        for first in (0, 1):
            picks = list(range(first, 2 * self.width, 2))
            wide = []
            for value in (x, y):
                lanes = vectors.shuffle(
                    self.function, "i16", 2 * self.width, value, "poison", picks
                )
                wide.append(self.function.let(f"sext {half} {lanes} to {row}"))
            products.append(self.function.let(f"mul {row} {wide[0]}, {wide[1]}"))
        return self.function.let(f"add {row} {products[0]}, {products[1]}")


class _Quads(Term):
    """int8 times uint8: four products added in 32 bits, which cannot saturate (1020 x 127)."""

    kind = "i32"
    node = None
    depth = 4
    beneath = True

    @property
    def start(self) -> str:
        return Arithmetic("int32").start(self.codelet.k, self.width)

    def row(self, place: str, valid: int, plane: int = 0) -> list[str]:
        return [self.splat("i32", _word(self.function, place, 32, 8, valid))]

    def columns(self, place: str, valid: int) -> list[str]:
        return [self.words(place)]

    def added(self, x: Sequence[str], y: Sequence[str], total: str) -> str:
        needed = {16: "avx512vnni", 8: "avxvnni"}.get(self.width)
        if needed not in self.function.module.features.names:
            return self._by_elements(x[0], y[0], total)
        row, bytes_ = vector("i32", self.width), vector("i8", 4 * self.width)
        symbol = f"llvm.x86.avx512.vpdpbusd.{32 * self.width}"
        self.function.module.declare(symbol, row, row, bytes_, bytes_)
        a, b = (self.function.let(f"bitcast {row} {value} to {bytes_}") for value in (x[0], y[0]))
        return self.function.let(f"call {row} @{symbol}({row} {total}, {bytes_} {a}, {bytes_} {b})")

    def _by_elements(self, x: str, y: str, total: str) -> str:
        row, way = vector("i32", self.width), "ashr" if self.codelet.lhs.dtype == "int8" else "lshr"

        def shifted(operation: str, value: str, by: int) -> str:
            amount = vectors.splat_constant("i32", by, self.width)
            return self.function.let(f"{operation} {row} {value}, {amount}")

        for up in (24, 16, 8, 0):
            a = shifted(way, shifted("shl", x, up), 24)
            b = shifted("ashr", shifted("shl", y, up), 24)
            one = self.function.let(f"mul {row} {a}, {b}")
            total = self.function.let(f"add {row} {total}, {one}")
        return total


class _QuadsOfPlanes(_Quads):
    """int8 times uint16, as two of uint8: the low bytes, and the high ones, times 256."""

    planes = 2

    def row(self, place: str, valid: int, plane: int = 0) -> list[str]:
        function, count = self.function, self.width // 2
        row, bytes_ = vector("i32", self.width), vector("i8", 4 * self.width)
        fours = vectors.splat(function, "i64", count, _word(function, place, 64, 16, valid))
        fours = function.let(f"bitcast {vector('i64', count)} {fours} to {bytes_}")
        starts = [8 * (lane // 2) + plane for lane in range(self.width)]
        lanes = [start + step for start in starts for step in (0, 2, 4, 6)]
        own = vectors.shuffle(function, "i8", 4 * self.width, fours, "poison", lanes)
        return [function.let(f"bitcast {bytes_} {own} to {row}")]

    def joined(self, sums: Sequence[str]) -> str:
        row, by = vector("i32", self.width), vectors.splat_constant("i32", 8, self.width)
        low, high = sums
        high = self.function.let(f"shl {row} {high}, {by}")
        return self.function.let(f"add {row} {low}, {high}")


class _Signed(_Quads):
    """int8 times int8, without that instruction: |x| times w, or times -1 - w where x < 0.

    Two neighbouring products are added in 16 bits by an instruction that takes one operand without
    a sign: 2 x 128 x 127 and -2 x 128 x 128 fit there, so nothing saturates. Then four are added in
    32. As |x| (-1 - w) = x w - |x|, sums lack |x| wherever x < 0, whatever w is: as much as they
    would come to if w were 0. Of 32 bytes of panels that is four instructions, and widening them
    takes eight. (A row times 256 x 512 with AVX2 on Zen 4: 0.77 of reading, by int16 0.52.)
    """

    beneath = False

    @property
    def settled(self) -> Term | None:
        return _Settled(self.function, self.codelet, self.width)

    def row(self, place: str, valid: int, plane: int = 0) -> list[Any]:
        """|x|, the bits that turn w where x < 0, and what the four products of a column lack."""
        (fours,) = super().row(place, valid)
        bytes_, bits = vector("i8", 4 * self.width), vector("i1", 4 * self.width)
        x, symbol = self._bytes(fours), f"llvm.abs.v{4 * self.width}i8"
        self.function.module.declare(symbol, bytes_, bytes_, "i1")
        size = self.function.let(f"call {bytes_} @{symbol}({bytes_} {x}, i1 false)")
        negative = self.function.let(f"icmp slt {bytes_} {x}, zeroinitializer")
        mask = self.function.let(f"sext {bits} {negative} to {bytes_}")
        return [(size, mask, self.lacking(size, mask))]

    def lacking(self, x: str, mask: str) -> str | None:
        return self._four(x, mask)

    def added(self, x: Sequence[Any], y: Sequence[str], total: str) -> str:
        ((size, mask, lacking),) = x
        row, bytes_ = vector("i32", self.width), vector("i8", 4 * self.width)
        turned = self.function.let(f"xor {bytes_} {self._bytes(y[0])}, {mask}")
        total = self.function.let(f"add {row} {total}, {self._four(size, turned)}")
        return self.function.let(f"sub {row} {total}, {lacking}") if lacking else total

    def _four(self, x: str, y: str) -> str:
        """Sums of four products, x without a sign."""
        bytes_, halves = vector("i8", 4 * self.width), vector("i16", 2 * self.width)
        symbol = {8: "llvm.x86.avx2.pmadd.ub.sw", 16: "llvm.x86.avx512.pmaddubs.w.512"}[self.width]
        self.function.module.declare(symbol, halves, bytes_, bytes_)
        pairs = self.function.let(f"call {halves} @{symbol}({bytes_} {x}, {bytes_} {y})")
        ones = vectors.splat_constant("i16", 1, 2 * self.width)
        return _pairs_of_halves(self.function, self.width, pairs, ones)

    def _bytes(self, words: str) -> str:
        bytes_, row = vector("i8", 4 * self.width), vector("i32", self.width)
        return self.function.let(f"bitcast {row} {words} to {bytes_}")


class _Settled(_Signed):
    """Of sums that start from what they will lack."""

    @property
    def settled(self) -> Term | None:
        return None

    def lacking(self, x: str, mask: str) -> str | None:
        return None


_OF_BYTES = {"int16": _Integers, "int8": _Quads, "uint8": _Quads, "uint16": _QuadsOfPlanes}
"""Terms of int8 panels, by what meets them."""


def _of_bytes(function: Function, codelet: ContractPanels | ContractBlocks, width: int) -> Term:
    signed = codelet.lhs.dtype == "int8" and "avx2" in function.module.features.names
    return (_Signed if signed else _OF_BYTES[codelet.lhs.dtype])(function, codelet, width)


def _pairs_of_halves(function: Function, width: int, x: str, y: str) -> str:
    """Sums of two neighbouring products of 16 bits."""
    row, halves = vector("i32", width), vector("i16", 2 * width)
    symbol = {8: "llvm.x86.avx2.pmadd.wd", 16: "llvm.x86.avx512.pmaddw.d.512"}[width]
    function.module.declare(symbol, row, halves, halves)
    return function.let(f"call {row} @{symbol}({halves} {x}, {halves} {y})")


def _word(function: Function, place: str, size: int, bits: int, valid: int) -> str:
    """`size` bits of neighbouring integers, `valid` of them, the first lowest; the rest is zero."""
    loaded = function.let(f"load <{valid} x i{bits}>, ptr {place}, align {bits // 8}")
    word = function.let(f"bitcast <{valid} x i{bits}> {loaded} to i{bits * valid}")
    return word if bits * valid == size else function.let(f"zext i{bits * valid} {word} to i{size}")
