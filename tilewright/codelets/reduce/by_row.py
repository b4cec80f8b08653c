"""LLVM text of a reduction whose vectors run along outputs, row by row in the order of memory.

In: a `Reduce` whose domain ends with a kept axis. Out: its function. Always: the order is the
law's `lanes`; each lane's sums are a row of memory of the function's own, to which every sixteenth
row of the domain is added.

What is read lies side by side, so that hosts foresee it: 77 MB in rows of 96 float32 are summed at
30 GB/s, where a walk down a few columns at a time gets 6 out of memory, and no more than this one
does out of an L2 (Zen 4).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tilewright.codelets.emit.halving import QUARTERS
from tilewright.codelets.emit.loops import repeat
from tilewright.codelets.emit.pairwise import Pairwise, levels, pitch
from tilewright.codelets.emit.vectors import offset
from tilewright.codelets.reduce.form import Along
from tilewright.codelets.reduce.source import Indices
from tilewright.graph.law import LANES

TOGETHER = 8
"""Vectors of a row that are written out."""
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
        vectors, function = columns // LANES, self.function
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
        self.group = (1 if form.source.heavy else TOGETHER) * LANES

    def write(self, places: Sequence[str]) -> None:
        form, function, source = self.form, self.function, self.source
        *inputs, out = places
        if not form.count:
            self._each(
                lambda at, vectors, valid: self._finish(out, at, valid, [form.start] * vectors)
            )
            return
        start = "0"
        if form.before:
            with repeat(function, form.before, [("ptr", place) for place in inputs]) as turn:
                start = function.let(f"mul i64 {turn.index}, {form.leaf}")
                self._leaf(turn.carry, start, form.leaf)
                self._each(
                    lambda at, vectors, _: self._tree(at, vectors).push(
                        turn.index, self._halved(at, vectors)
                    )
                )
                if source.merged:
                    turn.next[:] = source.advance(turn.carry, form.leaf)
            inputs = turn.result
        done = form.before * form.leaf
        self._leaf(inputs, str(done), form.count - done)
        self._each(lambda at, vectors, valid: self._finish(out, at, valid, self._sums(at, vectors)))

    def _sums(self, at: str, vectors: int) -> list[str]:
        last = self._halved(at, vectors)
        return self._tree(at, vectors).finish(last) if self.form.before else last

    def _finish(self, out: str, at: str, valid: list[int], totals: Sequence[str]) -> None:
        """Write the totals of vectors from number `at` on."""
        form, function = self.form, self.function
        step = LANES * form.out_step
        out = offset(function, out, form.codelet.dtype, function.let(f"mul i64 {at}, {step}"))
        for i, (total, lanes) in enumerate(zip(totals, valid, strict=True)):
            target = offset(function, out, form.codelet.dtype, i * step)
            self.source.finish(total, target, form.out_step, lanes)

    def _tree(self, at: str, vectors: int) -> Pairwise:
        form, function = self.form, self.function
        place = function.let(f"mul i64 {at}, {form.pitch}")
        slots = function.address(form.slots, "i8", place), form.step
        return Pairwise(function, form.kind, [LANES] * vectors, form.apply, form.before, slots)

    def _each(self, body: Callable[[str, int, list[int]], None]) -> None:
        """For groups of vectors: the number of the first, how many, and the columns of each."""
        groups, rest = divmod(self.columns, self.group)
        vectors = self.group // LANES
        if groups:
            with repeat(self.function, groups) as turn:
                at = self.function.let(f"mul i64 {turn.index}, {vectors}")
                body(at, vectors, self.form.valid(self.group))
        if rest:
            valid = self.form.valid(rest)
            body(str(groups * vectors), len(valid), valid)

    def _leaf(self, places: Sequence[str], start: str, length: int) -> None:
        """Rows from number `start` on, added to their lanes."""
        form, function, source = self.form, self.function, self.source
        with repeat(function, LANES * self.vectors) as turn:
            form.keep(turn.index, form.start)
        with repeat(function, length, [("ptr", place) for place in places]) as turn:
            here, inside = turn.carry, dict(self.indices)
            if not source.merged or source.indexed:
                element = function.let(f"add i64 {start}, {turn.index}")
                moved, digits = source.place(places, element)
                inside |= digits
                here = here if source.merged else moved
            lane = function.let(f"and i64 {turn.index}, {LANES - 1}")
            slot = function.let(f"mul i64 {lane}, {self.vectors}")
            self._row(here, slot, inside)
            if source.merged:
                turn.next[:] = source.advance(turn.carry, 1)

    def _row(self, places: Sequence[str], slot: str, indices: Indices) -> None:
        """One row, added to the lane whose sums begin at a slot."""
        form, function = self.form, self.function
        dtypes = self.source.dtypes

        def add(at: str, vectors: int, valid: list[int]) -> None:
            column = function.let(f"mul i64 {at}, {LANES}")
            moves = [function.let(f"mul i64 {column}, {step}") for step in form.steps]
            here = [
                offset(function, place, dtype, move)
                for place, dtype, move in zip(places, dtypes, moves, strict=True)
            ]
            first = function.let(f"add i64 {self.first}, {column}")
            base = function.let(f"add i64 {slot}, {at}")
            for i, lanes in enumerate(valid):
                kept = function.let(f"add i64 {base}, {i}")
                value = form.value(here, i, lanes, first, indices)
                form.keep(kept, form.apply(function, LANES, form.kept(kept), value))

        self._each(add)

    def _halved(self, at: str, vectors: int) -> list[str]:
        """The sums of vectors from number `at` on, lanes combined."""
        form, function = self.form, self.function
        order = [lane + 4 * i for lane in QUARTERS for i in range(4)]
        found = []
        for i in range(vectors):
            places = [function.let(f"add i64 {at}, {lane * self.vectors + i}") for lane in order]
            found.append(form.halved([form.kept(place) for place in places]))
        return found
