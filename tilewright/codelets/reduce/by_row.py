"""LLVM text of a reduction whose vectors run along outputs, row by row in the order of memory.

In: a `Reduce` whose domain ends with a kept axis. Out: its function. Always: the order is the
law's `lanes`; each lane's sums are a row of memory of the function's own, to which every sixteenth
row of the domain is added; with several totals, a row of each, one after the other. Short
expressions stay in registers down all rows of a lane within a leaf.

What is read lies side by side, so that hosts foresee it: 77 MB in rows of 96 float32 are summed at
30 GB/s, where a walk down a few columns at a time gets 6 out of memory, and no more than this one
does out of an L2 (Zen 4).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tilewright.codelets.emit.halving import QUARTERS
from tilewright.codelets.emit.loops import repeat
from tilewright.codelets.emit.pairwise import Pairwise, levels, pitch
from tilewright.codelets.emit.vectors import itemsize, offset, prefetch
from tilewright.codelets.reduce.form import Along
from tilewright.codelets.reduce.source import Indices
from tilewright.graph.law import LANES

TOGETHER = 8
"""Vectors of a row that are written out."""
DOWN = {32: 8, 16: 2}
"""Sums of vectors that are carried down the rows of a lane, by how many registers there are. With
16 of 32, 20,000 rows of 500 are summed no faster, and the text is twice as long."""
WIDE = 240
"""Columns from which on several arrays are worth a walk down lanes: sums of one array and of its
square take 0.08 ns an element so, 0.11 row by row, of one and of its product with another 0.10 with
240 columns (0.15 row by row), but with 96 columns no less than row by row (Zen 4, out of L2)."""
AHEAD = 1 << 18
"""Bytes from which on the next leaf is asked for in advance."""
SPAN = 80 * 1024
"""Bytes for the 16 sums of each column. Wider rows are read in parts, which hosts foresee less: in
two halves, 672 columns of float32 came at 10 GB/s out of memory, at 18 to 27 whole."""


class ByRow(Along):
    """The function of one codelet in the making."""

    def write(self, pointers: list[str]) -> None:
        """Loops over the other kept dimensions, and over spans of columns."""
        codelet, source, function = self.codelet, self.source, self.function
        dtypes = [*source.dtypes, codelet.dtype]
        steps = [*self.steps, self.out_step]
        spans = -(-self.columns * pitch(self.kind, [LANES]) // SPAN)
        span = -(-self.columns // (spans * LANES)) * LANES
        self._reserve(span)
        kept = source.kept(codelet, codelet.kept[:-1])
        with source.nest(kept, pointers, dtypes) as (places, indices):
            whole, rest = divmod(self.columns, span)
            if whole:
                with repeat(function, whole, [("ptr", place) for place in places]) as turn:
                    first = function.let(f"mul i64 {turn.index}, {span}")
                    _Span(self, span, first, indices).write(turn.carry)
                    turn.next[:] = self._moved(turn.carry, dtypes, steps, span)
            if rest:
                places = self._moved(places, dtypes, steps, whole * span)
                _Span(self, rest, str(whole * span), indices).write(places)

    def _reserve(self, columns: int) -> None:
        """Memory for the lanes, and for the levels of the tree, of so many columns."""
        vectors, function = columns // LANES * self.codelet.totals, self.function
        self.lanes = function.reserve(self.row, LANES * vectors)
        self.before = max(-(-self.count // self.leaf) - 1, 0)
        self.pitch = pitch(self.kind, [LANES])
        self.step = vectors * self.pitch
        self.slots = function.reserve("i8", levels(self.before) * self.step) if self.before else ""


class _Span:
    """Some neighbouring columns, of which the first is known by its number."""

    def __init__(self, form: ByRow, columns: int, first: str, indices: Indices):
        self.form, self.columns, self.first, self.indices = form, columns, first, indices
        self.function, self.source = form.function, form.source
        self.vectors = -(-columns // LANES)
        self.sums = self.vectors * form.codelet.totals
        self.group = (1 if form.source.heavy else TOGETHER) * LANES

    def write(self, places: Sequence[str]) -> None:
        form, function, source = self.form, self.function, self.source
        *inputs, out = places
        if not form.count:
            self._totals(
                lambda _, number, at, vectors, valid: self._finish(
                    out, number, at, valid, [form.start] * vectors
                )
            )
            return
        start = "0"
        if form.before:
            with repeat(function, form.before, [("ptr", place) for place in inputs]) as turn:
                start = function.let(f"mul i64 {turn.index}, {form.leaf}")
                self._leaf(turn.carry, start, form.leaf)
                self._totals(
                    lambda slot, _, at, vectors, valid: self._tree(slot, vectors).push(
                        turn.index, self._halved(slot, vectors)
                    )
                )
                if source.merged:
                    turn.next[:] = source.advance(turn.carry, form.leaf)
            inputs = turn.result
        done = form.before * form.leaf
        self._leaf(inputs, str(done), form.count - done)
        self._totals(
            lambda slot, number, at, vectors, valid: self._finish(
                out, number, at, valid, self._sums(slot, vectors)
            )
        )

    def _sums(self, at: str, vectors: int) -> list[str]:
        last = self._halved(at, vectors)
        return self._tree(at, vectors).finish(last) if self.form.before else last

    def _finish(
        self, out: str, number: int, at: str, valid: list[int], totals: Sequence[str]
    ) -> None:
        """Write those of one total, of vectors from number `at` on."""
        form, function, codelet = self.form, self.function, self.form.codelet
        step = LANES * form.out_step
        if number:
            out = offset(function, out, codelet.dtype, number * codelet.output_strides[-2])
        out = offset(function, out, form.codelet.dtype, function.let(f"mul i64 {at}, {step}"))
        for i, (total, lanes) in enumerate(zip(totals, valid, strict=True)):
            target = offset(function, out, form.codelet.dtype, i * step)
            self.source.finish(total, target, form.out_step, lanes)

    def _tree(self, at: str, vectors: int) -> Pairwise:
        form, function = self.form, self.function
        place = function.let(f"mul i64 {at}, {form.pitch}")
        slots = function.address(form.slots, "i8", place), form.step
        return Pairwise(function, form.kind, [LANES] * vectors, form.apply, form.before, slots)

    def _totals(self, body: Callable[[str, int, str, int, list[int]], None]) -> None:
        """As `_each`, for each total: the first slot of its sums, which it is, and the rest.

        One vector at a time: what is done so comes once a leaf, and is long for each vector.
        """
        for number in range(self.form.codelet.totals):

            def one(at: str, vectors: int, valid: list[int], number: int = number) -> None:
                before = number * self.vectors
                slot = self.function.let(f"add i64 {at}, {before}") if before else at
                body(slot, number, at, vectors, valid)

            self._each(one, LANES)

    def _each(self, body: Callable[[str, int, list[int]], None], group: int = 0) -> None:
        """For groups of vectors: the number of the first, how many, and the columns of each."""
        group = group or self.group
        groups, rest = divmod(self.columns, group)
        vectors = group // LANES
        if groups:
            with repeat(self.function, groups) as turn:
                at = self.function.let(f"mul i64 {turn.index}, {vectors}")
                body(at, vectors, self.form.valid(group))
        if rest:
            valid = self.form.valid(rest)
            body(str(groups * vectors), len(valid), valid)

    def _leaf(self, places: Sequence[str], start: str, length: int) -> None:
        """Rows from number `start` on, added to their lanes."""
        form, function, source = self.form, self.function, self.source
        rounds = length // LANES if self._goes_down else 0
        if rounds > 1:
            self._down(places, rounds)
            length -= rounds * LANES
            if not length:
                return
            places = source.advance(places, rounds * LANES)
        else:
            with repeat(function, LANES * self.sums) as turn:
                form.keep(turn.index, form.start)
        with repeat(function, length, [("ptr", place) for place in places]) as turn:
            here, inside = turn.carry, dict(self.indices)
            if not source.merged or source.indexed:
                element = function.let(f"add i64 {start}, {turn.index}")
                moved, digits = source.place(places, element)
                inside |= digits
                here = here if source.merged else moved
            lane = function.let(f"and i64 {turn.index}, {LANES - 1}")
            slot = function.let(f"mul i64 {lane}, {self.sums}")
            self._row(here, slot, inside)
            if source.merged:
                turn.next[:] = source.advance(turn.carry, 1)

    @property
    def _goes_down(self) -> bool:
        source, codelet = self.source, self.form.codelet
        if not source.merged or source.heavy or source.indexed or codelet.stored:
            return False
        several = sum(steps[0] != 0 for steps in source.reduced.steps) > 1
        return not several or codelet.shape[-1] >= WIDE

    def _down(self, places: Sequence[str], rounds: int) -> None:
        """All lanes, one after the other: so many rows of each, added up in registers."""
        form, function, source = self.form, self.function, self.source
        totals, registers = form.codelet.totals, function.module.features.registers
        group = max(1, DOWN[32 if registers >= 32 else 16] // totals) * LANES
        with repeat(function, LANES, [("ptr", place) for place in places]) as lane:
            slot = function.let(f"mul i64 {lane.index}, {self.sums}")
            outer = list(lane.carry)

            def column(at: str, vectors: int, valid: list[int]) -> None:
                count = vectors * totals
                here = self._columns(outer, function.let(f"mul i64 {at}, {LANES}"))
                carry = [(form.row, form.start)] * count + [("ptr", place) for place in here]
                with repeat(function, rounds, carry) as turn:
                    sums, inside = list(turn.carry[:count]), turn.carry[count:]
                    self._ask(inside, vectors)
                    for i, lanes in enumerate(valid):
                        for number, value in enumerate(form.values(inside, i, lanes, "0", {})):
                            taken = sums[number * vectors + i]
                            sums[number * vectors + i] = form.apply(function, LANES, taken, value)
                    turn.next[:] = [*sums, *source.advance(inside, LANES)]
                base = function.let(f"add i64 {slot}, {at}")
                first = function.address(form.lanes, form.row, base)
                for k, total in enumerate(turn.result[:count]):
                    number, i = divmod(k, vectors)
                    form.keep(number * self.vectors + i, total, first)

            self._each(column, group)
            lane.next[:] = source.advance(outer, 1)

    def _ask(self, places: Sequence[str], vectors: int) -> None:
        """For the same of the next leaf, where that is not near anyway."""
        form, function, source = self.form, self.function, self.source
        for place, dtype, steps in zip(places, source.dtypes, source.reduced.steps, strict=True):
            pitch = steps[0] * itemsize(dtype)
            if form.before and pitch * form.count > AHEAD:
                soon = function.address(place, "i8", form.leaf * pitch)
                prefetch(function, soon, vectors * LANES * itemsize(dtype))

    def _columns(self, places: Sequence[str], column: str) -> list[str]:
        """Places of a column, by its number among those of the span."""
        function, form = self.function, self.form
        moves = [function.let(f"mul i64 {column}, {step}") for step in form.steps]
        rows = zip(places, self.source.dtypes, moves, strict=True)
        return [offset(function, place, dtype, move) for place, dtype, move in rows]

    def _row(self, places: Sequence[str], slot: str, indices: Indices) -> None:
        """One row, added to the lane whose sums begin at a slot."""
        form, function = self.form, self.function

        def add(at: str, vectors: int, valid: list[int]) -> None:
            column = function.let(f"mul i64 {at}, {LANES}")
            here = self._columns(places, column)
            first = function.let(f"add i64 {self.first}, {column}")
            base = function.let(f"add i64 {slot}, {at}")
            for i, lanes in enumerate(valid):
                for number, value in enumerate(form.values(here, i, lanes, first, indices)):
                    kept = function.let(f"add i64 {base}, {i + number * self.vectors}")
                    form.keep(kept, form.apply(function, LANES, form.kept(kept), value))

        self._each(add)

    def _halved(self, at: str, vectors: int) -> list[str]:
        """The sums of vectors from number `at` on, lanes combined."""
        form, function = self.form, self.function
        order = [lane + 4 * i for lane in QUARTERS for i in range(4)]
        first = function.address(form.lanes, form.row, at)
        return [
            form.halved([form.kept(lane * self.sums + i, first) for lane in order])
            for i in range(vectors)
        ]
