"""How sums of rows times panels are taken, in LLVM text: see `panels.py`.

In: a `ContractPanels`, where rows and panels are. Out: sums over all of k, node after node of the
law's tree. In one step a machine vector of d neighbouring k is read, and used for every row of a
tile. Where there are parts, what is counted as a panel below is one panel of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from tilewright.codelets.base import LANES
from tilewright.codelets.contract.panels_terms import Term
from tilewright.codelets.contract.panels_writer import PackedWriter, Strand
from tilewright.codelets.emit.arithmetic import Arithmetic
from tilewright.codelets.emit.llvm import vector
from tilewright.codelets.emit.loops import repeat
from tilewright.codelets.emit.pairwise import Pairwise
from tilewright.codelets.emit.vectors import offset
from tilewright.frozen import frozen

if TYPE_CHECKING:
    from tilewright.codelets.contract.panels import ContractPanels

_STEPS, _SUMS_STEPPED = 4, 8
"""Steps of a turn of the innermost loop, whose own instructions then hardly count; one, where more
sums than so many are taken in it, or much else is written between such loops."""


@frozen
class PanelsSums(PackedWriter):
    codelet: ContractPanels
    starts: tuple[str, ...] = ()
    """What the sums of each row start from, where they are settled before (see `Term.settled`)."""
    strand: Strand | None = None
    """What advances with the innermost loop, if anything."""

    @property
    def term(self) -> Term:
        term = super().term
        return (term.settled or term) if self.starts else term

    def settled(self, lhs: str) -> tuple[str, ...]:
        """Of each row, what its sums start from: less a sum over panels of zeros."""
        function, codelet, found = self.function, self.codelet, []
        row, term = vector(super().term.kind, self.width), super().term.settled
        assert term is not None
        steps, rest = divmod(codelet.k, term.depth)
        for i in range(codelet.m):
            place = offset(function, lhs, codelet.lhs.dtype, i * codelet.lhs.strides[0])
            with repeat(function, steps, [(row, term.start), ("ptr", place)]) as turn:
                total, here = turn.carry
                total = term.added(term.row(here, term.depth), ["zeroinitializer"], total)
                turn.next[:] = [total, self.moved(here, here, term.depth)[0]]
            total, place = turn.result
            if rest:
                total = term.added(term.row(place, rest), ["zeroinitializer"], total)
            found.append(function.let(f"sub {row} {term.start}, {total}"))
        return tuple(found)

    def sums(
        self, lhs: str, panels: str, rows: int, count: int, between: Sequence[Sequence[str]] = ()
    ) -> list[str]:
        """(panel, product, row, part) over all of k: node after node of the law's tree. A plane of
        a row counts as one, from here on. Pieces of text go `between` turns of the last loop."""
        term, k = self.term, self.codelet.k
        if not term.node or k <= term.node:
            return self._node(term, [lhs, panels], rows, count, k, between)[0]
        before = -(-k // term.node) - 1
        widths = [self.width] * (count * rows * self.parts)
        tree = Pairwise(self.function, "float", widths, Arithmetic("float32").add, before)
        with repeat(self.function, before, [("ptr", lhs), ("ptr", panels)]) as turn:
            sums, turn.next[:] = self._node(term, turn.carry, rows, count, term.node)
            tree.push(turn.index, sums)
        rest = k - before * term.node
        return tree.finish(self._node(term, turn.result, rows, count, rest, between)[0])

    def _node(
        self,
        term: Term,
        places: Sequence[str],
        rows: int,
        count: int,
        length: int,
        between: Sequence[Sequence[str]] = (),
    ) -> tuple[list[str], list[str]]:
        """Sums over `length` of k, and the operands' places after them."""
        number, places = count * rows * self.parts, list(places)
        starts = self.starts or [term.start] * rows
        sums = [start for start in starts for _ in range(self.parts)] * count
        steps, rest = divmod(length, term.depth)
        several = number <= _SUMS_STEPPED and term.stepped and not between and not self.strand
        together = _STEPS if several else 1
        turns, left = divmod(steps, together)
        for number, piece in enumerate(between or [()]):
            of = max(1, len(between))
            many = turns * (number + 1) // of - turns * number // of
            if many:
                sums, places = self._loop(term, sums, places, rows, many, together)
            self.function.lines += piece
        if left:
            sums, places = self._loop(term, sums, places, rows, 1, left)
        if rest:
            sums = self.step(term.for_one, places[0], places[1], rows, sums, rest)
        return sums, places

    def _loop(
        self, term: Term, sums: list[str], places: list[str], rows: int, turns: int, steps: int
    ) -> tuple[list[str], list[str]]:
        """`turns` times `steps` steps."""
        row = vector(term.kind, self.width)
        carry = [*((row, total) for total in sums), *(("ptr", place) for place in places)]
        own = len(carry)
        carry += self.strand.carry if self.strand else []
        with repeat(self.function, turns, carry) as turn:
            *sums, lhs, panels = turn.carry[:own]
            for number in range(steps):
                here = self.moved(lhs, panels, number * term.depth)
                sums = self.step(term, here[0], here[1], rows, sums, term.depth)
            further = self.strand.stepped(turn.carry[own:]) if self.strand else []
            turn.next[:] = [*sums, *self.moved(lhs, panels, steps * term.depth), *further]
        *sums, lhs, panels = turn.result[:own]
        if self.strand:
            self.strand.take(turn.result[own:], turns)
        return sums, [lhs, panels]

    def moved(self, lhs: str, panels: str, terms: int) -> list[str]:
        codelet = self.codelet
        return [
            offset(self.function, lhs, codelet.lhs.dtype, terms * codelet.lhs.strides[1]),
            offset(self.function, panels, codelet.panels.dtype, LANES * terms),
        ]

    def step(
        self, term: Term, lhs: str, panels: str, rows: int, sums: list[str], valid: int
    ) -> list[str]:
        """`valid` of the depth's k: the side with fewer registers is read first and kept."""
        sums, parts = list(sums), self.parts
        count = len(sums) // (rows * parts)

        def row(number: int) -> list[Any]:
            at, plane = divmod(number, term.planes)
            step = at * self.codelet.lhs.strides[0]
            return term.row(offset(self.function, lhs, self.codelet.lhs.dtype, step), valid, plane)

        def columns(number: int, part: int) -> list[str]:
            panel, own = divmod(number, self.codelet.parts)
            where = panel * self.panel + own * self._part + part * self.width * term.depth
            return term.columns(
                offset(self.function, panels, self.codelet.panels.dtype, where), valid
            )

        def add(x: list[Any], y: list[str], at: int) -> None:
            sums[at] = term.added(x, y, sums[at])

        if rows <= count * parts:
            kept = [row(i) for i in range(rows)]
            for number, part in product(range(count), range(parts)):
                y = columns(number, part)
                for i, x in enumerate(kept):
                    add(x, y, (number * rows + i) * parts + part)
            return sums
        # One k after the other: of a pair that is widened, registers hold one at a time.
        for one in range(len(row(0))):
            kept = [columns(number, part) for number in range(count) for part in range(parts)]
            for i in range(rows):
                x = row(i)
                for number, part in product(range(count), range(parts)):
                    y = kept[number * parts + part]
                    add([x[one]], [y[one]], (number * rows + i) * parts + part)
        return sums

    @property
    def panel(self) -> int:
        """Elements from one to the next."""
        return self.codelet.panels.strides[-4]

    @property
    def _part(self) -> int:
        """Elements from a panel to that of the next part."""
        return self.codelet.panels.strides[0]
