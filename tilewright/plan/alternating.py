"""Carries that all tiles make and all tiles read lie in two places, by turns.

In: steps, before it is known where tiles wait. Out: the same, where a loop whose trips are dealt
out and end in tile 0's copy of what was made, into its carry and perhaps into rows that are kept,

    loop: spreads (read carry, write made); copy made -> carry, row

does two trips a turn instead:

    loop: spreads (read carry, write made; a piece copies its part of the row)
          spreads (read made, write carry; likewise)

Tiles then wait for each other once a trip, not twice, and nobody waits for a copy. (A layer of 256
units, float32, on two tiles of Zen 4.) Always: the same numbers in the same places behind the loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tilewright.codelets.elementwise import Elementwise
from tilewright.plan.basic import copy_codelet
from tilewright.plan.ir import (
    Branch,
    Buffer,
    Call,
    Loop,
    Map,
    Spread,
    Step,
    Var,
    View,
    While,
    dense_strides,
    new_var,
)
from tilewright.plan.trips import calls_of, in_trip, is_simple


def alternating(steps: Sequence[Step]) -> tuple[Step, ...]:
    """For all loops of a program."""
    return tuple(part for step in steps for part in _turned(step))


def _turned(step: Step) -> Sequence[Step]:
    if isinstance(step, Map | Spread):
        return [step]  # inside, tiles are alone
    if isinstance(step, While):
        return [replace(step, steps=alternating(step.steps))]
    if isinstance(step, Branch):
        return [replace(step, cases=tuple(map(alternating, step.cases)))]
    if not isinstance(step, Loop):
        return [step]
    step = replace(step, steps=alternating(step.steps))
    found = _Trip.of(step)
    return [step] if found is None else found.by_turns()


def alternates(loop: Loop) -> bool:
    """Whether a loop's carry is to lie in two places."""
    return _Trip.of(loop) is not None


class _Trip:
    """Spreads and a copy: of `made`, to the carry's buffer and to rows."""

    def __init__(self, loop: Loop, copy: Call, made: View, carry: View, rows: Sequence[View]):
        self.loop, self.copy = loop, copy
        self.made, self.carry, self.rows = made, carry, rows

    @classmethod
    def of(cls, loop: Loop) -> _Trip | None:
        if loop.count < 2 or len(loop.steps) < 2:
            return None
        *spreads, copy = loop.steps
        if not isinstance(copy, Call):
            return None
        if not all(isinstance(step, Spread) for step in spreads) or not _is_copy(copy):
            return None
        count = len(copy.codelet.inputs)
        sources, targets = copy.views[:count], copy.views[count:]
        made = sources[0]
        fixed = [view for view in targets if not view.moves]
        if any(view != made for view in sources) or len(fixed) != 1:
            return None
        rows = [view for view in targets if view.moves]
        if not all(map(_is_whole, (made, *fixed))) or not all(map(_is_dense, rows)):
            return None
        trip = cls(loop, copy, made, fixed[0], rows)
        return trip if trip._is_apart() else None

    def _is_apart(self) -> bool:
        """Whether pieces never write the carry, and rows are somewhere else."""
        made, carry = self.made.buffer, self.carry.buffer
        if made is carry or {view.buffer for view in self.rows} & {made, carry}:
            return False
        for step in self.loop.steps[:-1]:
            assert isinstance(step, Spread)
            if not is_simple(step):
                return False
            for call in calls_of(step):
                count = len(call.codelet.inputs)
                outputs = len(call.codelet.outputs)
                if any(v.buffer is carry for v in call.views[count : count + outputs]):
                    return False
        return True

    def by_turns(self) -> list[Step]:
        var, (turns, rest) = new_var(), divmod(self.loop.count, 2)
        first = in_trip(self._spreads({}), self.loop.var, var, 0)
        swapped = {self.made.buffer: self.carry.buffer, self.carry.buffer: self.made.buffer}
        second = in_trip(self._spreads(swapped), self.loop.var, var, 1)
        steps: list[Step] = [replace(self.loop, var=var, count=turns, steps=(*first, *second))]
        if rest:
            steps += in_trip(self._spreads({}), self.loop.var, var, 2 * turns, trips=0)
            codelet = copy_codelet([self.made], [self.carry])
            steps.append(Call(codelet, (self.made, self.carry)))
        return steps

    def _spreads(self, swapped: dict[Buffer, Buffer]) -> list[Spread]:
        """Those of a trip, each piece with its part of the rows."""
        found = []
        for step in self.loop.steps[:-1]:
            assert isinstance(step, Spread)
            var, calls = new_var(), []
            for call in step.steps:
                assert isinstance(call, Call)
                views = tuple(_renamed(view, step.var, var, swapped) for view in call.views)
                calls.append(replace(call, views=views))
                calls += self._kept(call, step.var, var, swapped)
            found.append(replace(step, var=var, steps=tuple(calls)))
        return found

    def _kept(self, call: Call, old: Var, new: Var, swapped: dict[Buffer, Buffer]) -> list[Call]:
        """Copies of what a call made of the rows."""
        count, outputs = len(call.codelet.inputs), len(call.codelet.outputs)
        made = [v for v in call.views[count : count + outputs] if v.buffer is self.made.buffer]
        calls = []
        for view in made if self.rows else ():
            parts = [
                View(row.buffer, view.shape, view.strides, row.offset + view.offset,
                     (*row.moves, *view.moves))
                for row in self.rows
            ]  # fmt: skip
            source = [_renamed(view, old, new, swapped)] * len(parts)
            targets = [_renamed(part, old, new, {}) for part in parts]
            calls.append(Call(copy_codelet(source, targets), (*source, *targets)))
        return calls


def _is_copy(call: Call) -> bool:
    codelet = call.codelet
    return isinstance(codelet, Elementwise) and not codelet.expression.instructions


def _is_dense(view: View) -> bool:
    """One row, or all rows behind one another: what lies where in it is known from the number."""
    kept = [(n, s) for n, s in zip(view.shape, view.strides, strict=True) if n > 1]
    wanted = dense_strides(tuple(n for n, _ in kept))
    return tuple(s for _, s in kept) == wanted


def _is_whole(view: View) -> bool:
    return _is_dense(view) and not view.offset and view.size == view.buffer.size


def _renamed(view: View, old: Var, new: Var, swapped: dict[Buffer, Buffer]) -> View:
    moves = tuple((new if var == old else var, step) for var, step in view.moves)
    return replace(view, buffer=swapped.get(view.buffer, view.buffer), moves=moves)
