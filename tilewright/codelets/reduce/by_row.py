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
from tilewright.codelets.emit.loops import repeat, stretch
from tilewright.codelets.emit.pairwise import Pairwise, levels, pitch
from tilewright.codelets.emit.vectors import itemsize, offset, prefetch
from tilewright.codelets.reduce.form import Along
from tilewright.codelets.reduce.source import Indices
from tilewright.graph.law import LANES

TOGETHER = 8
"""Vectors of a row that are written out."""
DOWN = {32: 4, 16: 2}
"""Sums of vectors that are carried down the rows of a lane, by how many registers there are. With 8
of 32, 20,000 rows of 500 take 1.14 times as long, 50,000 rows of 96 1.38 times, and the text is
half as long again (Zen 4)."""
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
        last = self.count - self.before * self.leaf
        self.alike = self.before > 0 and last >= LANES and self.goes_down
        self.pitch = pitch(self.kind, [LANES])
        self.step = vectors * self.pitch
        count = levels(self.before + self.alike)
        self.slots = function.reserve("i8", count * self.step) if self.before else ""

    @property
    def goes_down(self) -> bool:
        """Whether rows of a lane are added up one after the other."""
        source, codelet = self.source, self.codelet
        if not source.merged or source.heavy or source.indexed or codelet.stored:
            return False
        several = sum(steps[0] != 0 for steps in source.reduced.steps) > 1
        return not several or codelet.shape[-1] >= WIDE


class _Span:
    """Some neighbouring columns, of which the first is known by its number."""

    def __init__(self, form: ByRow, columns: int, first: str, indices: Indices):
        self.form, self.columns, self.first, self.indices = form, columns, first, indices
        self.function, self.source = form.function, form.source
        self.vectors = -(-columns // LANES)
        self.sums = self.vectors * form.codelet.totals
        self.group = (1 if form.source.heavy else TOGETHER) * LANES

    def write(self, places: Sequence[str]) -> None:
        form, function = self.form, self.function
        *inputs, out = places
        if not form.count:
            self._finish(out, lambda _: form.start)
            return
        if form.alike:
            self._leaves(inputs)
        else:
            self._before(inputs)
        with repeat(function, self.sums) as turn:
            form.keep(turn.index, self._total(turn.index))
        self._finish(out, form.kept)

    def _leaves(self, inputs: Sequence[str]) -> None:
        """All of them by one text, though the last may be shorter."""
        form, function = self.form, self.function
        carry = [("ptr", place) for place in inputs]
        with repeat(function, form.before + 1, carry) as turn:
            self._down(turn.carry, stretch(function, form.count, form.leaf, turn.index))
            self._push(turn.index)
            turn.next[:] = self.source.advance(turn.carry, form.leaf)

    def _before(self, inputs: Sequence[str]) -> None:
        """All leaves, of which the last stays in its lanes."""
        form, function, source = self.form, self.function, self.source
        if form.before:
            with repeat(function, form.before, [("ptr", place) for place in inputs]) as turn:
                start = function.let(f"mul i64 {turn.index}, {form.leaf}")
                self._leaf(turn.carry, start, form.leaf)
                self._push(turn.index)
                if source.merged:
                    turn.next[:] = source.advance(turn.carry, form.leaf)
            inputs = turn.result
        done = form.before * form.leaf
        self._leaf(inputs, str(done), form.count - done)

    def _push(self, number: str) -> None:
        """The sums of the leaf of that number: a vector at a time, as they are long to write."""
        with repeat(self.function, self.sums) as turn:
            self._tree(turn.index).push(number, [self._halved(turn.index)])

    def _total(self, slot: str) -> str:
        """Of all leaves."""
        if self.form.alike:
            return self._tree(slot).pushed()[0]
        last = self._halved(slot)
        return self._tree(slot).finish([last])[0] if self.form.before else last

    def _finish(self, out: str, total: Callable[[str], str]) -> None:
        """Write the totals, which lie one vector after the other."""
        form, function, codelet = self.form, self.function, self.form.codelet
        step = LANES * form.out_step
        for number in range(codelet.totals):
            apart = number * codelet.output_strides[-2] if number else 0
            first = offset(function, out, codelet.dtype, apart)

            def one(at: str, _: int, valid: list[int], number: int = number, first: str = first):
                move = function.let(f"mul i64 {at}, {step}")
                target = offset(function, first, codelet.dtype, move)
                slot = function.let(f"add i64 {at}, {number * self.vectors}") if number else at
                self.source.finish(total(slot), target, form.out_step, valid[0])

            self._each(one, LANES)

    def _tree(self, slot: str) -> Pairwise:
        form, function = self.form, self.function
        place = function.let(f"mul i64 {slot}, {form.pitch}")
        slots = function.address(form.slots, "i8", place), form.step
        pushed = form.before + form.alike
        return Pairwise(function, form.kind, [LANES], form.apply, pushed, slots)

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
        if form.goes_down and length >= 2 * LANES:
            self._down(places, length)
            return
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

    def _down(self, places: Sequence[str], length: int | str) -> None:
        """So many rows, 16 at least, lane after lane: the rows of each are added up in registers.

        Those of lane i are the rows from i on that are 16 apart.
        """
        form, function, source = self.form, self.function, self.source
        totals, registers = form.codelet.totals, function.module.features.registers
        group = max(1, DOWN[32 if registers >= 32 else 16] // totals) * LANES
        with repeat(function, LANES, [("ptr", place) for place in places]) as lane:
            slot = function.let(f"mul i64 {lane.index}, {self.sums}")
            outer, rounds = list(lane.carry), self._rounds(length, lane.index)

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

    def _rounds(self, length: int | str, lane: str) -> int | str:
        """Rows of a lane among so many."""
        if isinstance(length, int) and length % LANES == 0:
            return length // LANES
        function = self.function
        after = function.let(f"sub i64 {length}, {lane}")
        return function.let(f"lshr i64 {function.let(f'add i64 {after}, {LANES - 1}')}, 4")

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

    def _halved(self, slot: str) -> str:
        """The sums that begin at a slot, lanes combined."""
        form = self.form
        order = [lane + 4 * i for lane in QUARTERS for i in range(4)]
        first = self.function.address(form.lanes, form.row, slot)
        return form.halved([form.kept(lane * self.sums, first) for lane in order])
