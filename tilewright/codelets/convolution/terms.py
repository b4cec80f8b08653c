"""The terms of a convolution's sums, in the law's order, cut into its leaves.

In: the dimensions that terms are numbered along (tap rows, tap columns, input channels), with their
steps in the image and in the kernel. Out: LLVM text that adds them up, leaf after leaf. Always:
terms one after the other in row-major order; many in loops, few written out; of rows of taps that
read padding alone, the kernel is looked at and nothing is added (see `padding.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Literal

from tilewright.codelets.convolution.padding import Rows
from tilewright.codelets.emit.branch import branch
from tilewright.codelets.emit.llvm import Function, vector
from tilewright.codelets.emit.loops import repeat
from tilewright.codelets.emit.pairwise import Combine, Pairwise
from tilewright.codelets.emit.vectors import offset
from tilewright.frozen import frozen
from tilewright.graph.law import LEAF

FEW_LEAVES = 2
"""Leaves up to which each is written out; more of them are a loop, where they fit rows."""


@frozen
class Dimension:
    """`count` terms, and elements from one to the next in both operands.

    `taps` are told apart, in rows or columns, where some of them read padding.
    """

    count: int
    image: int
    kernel: int
    taps: Literal["", "rows", "columns"] = ""


@frozen
class Term:
    """Where one is, in elements from the place at hand; `channel` is told apart if it matters, and
    so is the `column` of its tap, counted from the place's."""

    image: int
    kernel: int
    channel: int = 0
    column: int = 0


@frozen
class Places:
    """Where the image and the kernel are read; the `column` of taps, if it is told apart."""

    function: Function
    dtypes: tuple[str, str]
    image: str
    kernel: str
    column: int = 0

    def moved(self, image: int | str, kernel: int | str, columns: int = 0) -> Places:
        function, (one, other) = self.function, self.dtypes
        return Places(
            function,
            self.dtypes,
            offset(function, self.image, one, image),
            offset(function, self.kernel, other, kernel),
            self.column + columns,
        )


Add = Callable[[Places, Sequence[Term], list[str]], list[str]]
"""(places, terms, sums) -> the sums with the terms added."""


@frozen
class Terms:
    """`dimensions` are looped over or written out; in each of their terms come `channels` more.

    For these the image is at the same place, and the kernel `channel_step` further each time.
    `weight` is how many multiply-adds one term takes; about `most` of them are written out. `leaf`
    is how many make a leaf (half of the law's, where a term is a pair).
    """

    dimensions: tuple[Dimension, ...]
    channels: int
    channel_step: int
    weight: int
    most: int
    leaf: int = LEAF

    @staticmethod
    def of(
        dimensions: Sequence[Dimension],
        channels: int,
        channel_step: int,
        weight: int,
        most: int = 200,
        leaf: int = LEAF,
    ) -> Terms:
        """Dimensions are joined where a step of one is a whole run of the next."""
        joined: list[Dimension] = []
        for inner in reversed([d for d in dimensions if d.count != 1]):
            outer = joined[0] if joined else None
            if (
                outer
                and not (outer.taps or inner.taps)
                and inner.image == outer.count * outer.image
                and (inner.kernel == outer.count * outer.kernel)
            ):
                joined[0] = Dimension(inner.count * outer.count, outer.image, outer.kernel)
            else:
                joined.insert(0, inner)
        return Terms(tuple(joined), channels, channel_step, weight, most, leaf)

    @property
    def count(self) -> int:
        return prod(d.count for d in self.dimensions) * self.channels

    def inside(self, level: int) -> int:
        """Terms of one step of the dimension before `level`."""
        return prod(d.count for d in self.dimensions[level:]) * self.channels

    @property
    def written(self) -> int:
        """The level from which on terms are written out."""
        level = len(self.dimensions)
        while level and self.inside(level - 1) * self.weight <= self.most:
            level -= 1
        return level

    @property
    def has_loop_of_leaves(self) -> bool:
        """Whether the same code serves many leaves."""
        return -(-self.count // self.leaf) - 1 >= FEW_LEAVES and self.has_equal_leaves

    @property
    def has_equal_leaves(self) -> bool:
        """Whether leaves are stretches of the last dimension, all alike."""
        if self.channels > 1 or not self.dimensions:
            return False
        return len(self.dimensions) == 1 or self.dimensions[-1].count % self.leaf == 0

    def term(self, level: int, number: int) -> Term:
        """Of those that the dimensions from `level` on number."""
        number, channel = divmod(number, self.channels)
        image, kernel, column = 0, channel * self.channel_step, 0
        for dimension in reversed(self.dimensions[level:]):
            number, at = divmod(number, dimension.count)
            image += at * dimension.image
            kernel += at * dimension.kernel
            column += at if dimension.taps == "columns" else 0
        return Term(image, kernel, channel, column)


@frozen
class Sums:
    """Sums that advance together: their vectors' lanes, what they start from, how they grow.

    Where rows of taps are told apart, `rows` says which of them read the image, and `look` is
    written for the others. `clipped` are columns of taps of which not all neighbours read it; all
    `others` do.
    """

    function: Function
    kind: str
    widths: Sequence[int]
    starts: Sequence[str]
    combine: Combine
    add: Add
    rows: Rows | None = None
    look: Add | None = None
    clipped: Sequence[int] = ()
    others: Sequence[int] = ()

    def over(self, terms: Terms, places: Places) -> list[str]:
        """All terms, leaf after leaf."""
        leaf = terms.leaf
        before = -(-terms.count // leaf) - 1
        if before < 1:
            return self._span(terms, 0, 0, terms.count, places, list(self.starts))
        tree = Pairwise(self.function, self.kind, self.widths, self.combine, before)
        if terms.has_loop_of_leaves:
            with repeat(self.function, before) as turn:
                tree.push(turn.index, self._stretch(terms, turn.index, leaf, places))
            rest = terms.count - before * leaf
            return tree.finish(self._stretch(terms, str(before), rest, places))
        for number in range(before):
            first = number * leaf
            sums = self._span(terms, 0, first, first + leaf, places, list(self.starts))
            tree.push(str(number), sums)
        last = self._span(terms, 0, before * leaf, terms.count, places, list(self.starts))
        return tree.finish(last)

    def _stretch(self, terms: Terms, leaf: str, length: int, places: Places) -> list[str]:
        """A leaf by its number (a register or digits), where all are stretches of a dimension."""
        *outer, last = terms.dimensions
        stretches, size = last.count // terms.leaf if outer else 0, terms.leaf
        digits = [Dimension(stretches, size * last.image, size * last.kernel), *reversed(outer)]
        taps: dict[str, str] = {}
        for dimension in digits[:-1]:
            at = self._let("urem", leaf, dimension.count)
            leaf = self._let("udiv", leaf, dimension.count)
            places, taps = self._moved(places, at, dimension), taps | {dimension.taps: at}
        places, taps = self._moved(places, leaf, digits[-1]), taps | {digits[-1].taps: leaf}
        level = len(terms.dimensions) - 1

        def whole(column: int) -> list[str]:
            here = replace(places, column=column)
            return self._span(terms, level, 0, length, here, list(self.starts))

        def in_columns() -> list[str]:
            if "columns" not in taps:
                return whole(0)
            return self._by_column(taps["columns"], [*self.clipped, *self.others[:1]], whole)

        if "rows" not in taps:
            return in_columns()
        assert self.rows
        reads = self.rows.reads(self.function, taps["rows"])
        return self._either(reads, in_columns, lambda: list(self.starts))

    def _by_column(
        self, number: str, columns: Sequence[int], sums: Callable[[int], list[str]]
    ) -> list[str]:
        """Those of one of the columns of taps, by its number (a register); the last stands for all
        that are not named."""
        first, *others = columns
        if not others:
            return sums(first)
        found = self.function.let(f"icmp eq i64 {number}, {first}")
        return self._either(
            found, lambda: sums(first), lambda: self._by_column(number, others, sums)
        )

    def _either(
        self, condition: str, one: Callable[[], list[str]], other: Callable[[], list[str]]
    ) -> list[str]:
        """The sums that are written first, where a flag holds, or those that are written then."""
        function = self.function
        with branch(function, condition) as otherwise:
            mine = one()
            inside = function.block
            otherwise()
            theirs = other()
            outside = function.block
        return [
            function.let(f"phi {vector(self.kind, w)} [ {x}, %{inside} ], [ {y}, %{outside} ]")
            for w, x, y in zip(self.widths, mine, theirs, strict=True)
        ]

    def _moved(self, places: Places, times: str, dimension: Dimension) -> Places:
        image, kernel = (
            self._let("mul", times, step) for step in (dimension.image, dimension.kernel)
        )
        return places.moved(image, kernel)

    def _let(self, operation: str, number: str, other: int) -> str:
        return self.function.let(f"{operation} i64 {number}, {other}")

    def _span(
        self, terms: Terms, level: int, first: int, end: int, places: Places, sums: list[str]
    ) -> list[str]:
        """Terms first ... end - 1 of those that the dimensions from `level` on number."""
        if first == end:
            return sums
        if level >= terms.written:
            return self.add(places, [terms.term(level, i) for i in range(first, end)], sums)
        dimension, inner = terms.dimensions[level], terms.inside(level + 1)
        in_columns = dimension.taps == "columns"

        def part(number: int, start: int, stop: int, sums: list[str]) -> list[str]:
            steps = number * dimension.image, number * dimension.kernel
            here = places.moved(*steps, number if in_columns else 0)
            return self._row(terms, level, str(number), (start, stop), here, sums)

        at = first // inner
        if at == (end - 1) // inner:
            return part(at, first - at * inner, end - at * inner, sums)
        if first % inner:
            sums, at = part(at, first % inner, inner, sums), at + 1
        whole, rest = end // inner - at, end % inner
        if whole and in_columns:
            for number in range(at, at + whole):
                sums = part(number, 0, inner, sums)
        elif whole:
            here = places.moved(at * dimension.image, at * dimension.kernel)
            sums = self._repeated(terms, level, at, whole, here, sums)
        return part(at + whole, 0, rest, sums) if rest else sums

    def _row(
        self,
        terms: Terms,
        level: int,
        number: str,
        span: tuple[int, int],
        places: Places,
        sums: list[str],
    ) -> list[str]:
        """Some terms of one step of a dimension; of a row of taps, if it reads the image."""
        if terms.dimensions[level].taps != "rows":
            return self._span(terms, level + 1, *span, places, sums)
        assert self.rows
        assert self.look
        looking = replace(self, add=self.look)

        def look() -> list[str]:
            looking._span(replace(terms, most=0), level + 1, *span, places, [])
            return sums

        return self._either(
            self.rows.reads(self.function, number),
            lambda: self._span(terms, level + 1, *span, places, sums),
            look,
        )

    def _repeated(
        self, terms: Terms, level: int, first: int, count: int, places: Places, sums: list[str]
    ) -> list[str]:
        """So many whole steps of a dimension."""
        dimension, inner = terms.dimensions[level], terms.inside(level + 1)
        kinds = [vector(self.kind, width) for width in self.widths[: len(sums)]]
        carry = [*zip(kinds, sums, strict=True), ("ptr", places.image), ("ptr", places.kernel)]
        with repeat(self.function, count, carry) as turn:
            *totals, image, kernel = turn.carry
            here = replace(places, image=image, kernel=kernel)
            number = turn.index if dimension.taps else ""
            number = self.function.let(f"add i64 {number}, {first}") if number else number
            totals = self._row(terms, level, number, (0, inner), here, totals)
            after = here.moved(dimension.image, dimension.kernel)
            turn.next[:] = [*totals, after.image, after.kernel]
        return turn.result[:-2]
