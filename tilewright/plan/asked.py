"""Rows that a loop reads from afar are asked for during the longest product before they are read.

In: steps, before it is known where tiles wait. Out: the same, where a loop's elementwise vertices
read rows of arrays that lie beyond a tile's own memory. The products of most multiply-adds in a
turn ask for them meanwhile: each for what is read between it and the next such product, the last
one for what the next turn reads before the first. The last turn then stands behind the loop, and
asks for nothing. Always: nothing but time changes, and no row is asked for that does not exist.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from tilewright.codelets.contract import ContractOuter
from tilewright.codelets.contract.reading import loops_of
from tilewright.codelets.elementwise import Elementwise
from tilewright.machine.machine import Machine
from tilewright.plan import views
from tilewright.plan.ir import Branch, Call, Loop, Map, Spread, Step, Var, View, While, new_var
from tilewright.plan.trips import Simple, calls_of, in_trip, simple_steps

LINE, LINES = 64, 64
"""Bytes of a line; what is asked for has so many lines, at least."""
SHARE = 1 / 2
"""Of a tile's own memory, for what is asked for at most."""


def asked_ahead(steps: Sequence[Step], machine: Machine) -> tuple[Step, ...]:
    """For all loops of a program."""
    return tuple(part for step in steps for part in _turned(step, machine))


def _turned(step: Step, machine: Machine) -> Sequence[Step]:
    if isinstance(step, Branch):
        return [replace(step, cases=tuple(asked_ahead(case, machine) for case in step.cases))]
    if not isinstance(step, Loop | Map | Spread | While):
        return [step]
    step = replace(step, steps=asked_ahead(step.steps, machine))
    if not isinstance(step, Loop) or step.count < 2:
        return [step]
    simple = simple_steps(step)
    asked = _asked(simple, step.var, machine)
    if not asked:
        return [step]
    steps = tuple(_with(inner, asked.get(i, ()), machine) for i, inner in enumerate(simple))
    last = in_trip(simple, step.var, new_var(), step.count - 1, trips=0)
    return [replace(step, count=step.count - 1, steps=steps), *last]


def _asked(steps: Sequence[Simple], var: Var, machine: Machine) -> Mapping[int, Sequence[View]]:
    """By the numbers of the steps that ask: rows, in this turn or the next."""
    hosts, found = _hosts(steps), defaultdict(list)
    for number, row in _rows(steps, var, machine) if hosts else ():
        before = [host for host in hosts if host < number]
        if not before:
            along = sum(step for moved, step in row.moves if moved == var)
            row = replace(row, offset=row.offset + along)
        found[before[-1] if before else hosts[-1]].append(row)
    most = SHARE * machine.tile.memory
    sizes = {host: sum(map(_nbytes, rows)) for host, rows in found.items()}
    return {host: found[host] for host, size in sizes.items() if LINE * LINES <= size <= most}


def _hosts(steps: Sequence[Simple]) -> list[int]:
    """The numbers of the products of most multiply-adds."""
    work = [_terms(step) for step in steps]
    return [i for i, terms in enumerate(work) if terms and terms == max(work)]


def _terms(step: Simple) -> int:
    call, count = (step, 1) if isinstance(step, Call) else (_inner(step), step.count)
    codelet = call.codelet if call else None
    return count * codelet.out.size * codelet.k if isinstance(codelet, ContractOuter) else 0


def _inner(spread: Spread) -> Call | None:
    """The only call of a spread."""
    (first, *more) = spread.steps
    return first if isinstance(first, Call) and not more else None


def _rows(steps: Sequence[Simple], var: Var, machine: Machine) -> Iterator[tuple[int, View]]:
    """What elementwise vertices read of far arrays that the loop does not write, each once."""
    calls = [(i, step, call) for i, step in enumerate(steps) for call in calls_of(step)]
    written = {v.buffer for _, _, call in calls for v in call.views[len(call.codelet.inputs) :]}
    seen: set[View] = set()
    for number, step, call in calls:
        if not isinstance(call.codelet, Elementwise):
            continue
        for view in call.views[: len(call.codelet.inputs)]:
            row = _whole(view, step)
            moves = any(moved == var for moved, _ in view.moves)
            far = view.buffer.nbytes > machine.tile.memory and view.buffer not in written
            if moves and far and row is not None and row not in seen:
                seen.add(row)
                yield number, row


def _whole(view: View, step: Simple) -> View | None:
    """What all pieces read together, in one dimension; None where that has gaps."""
    if not views.is_dense(view):
        return None
    count = step.count if isinstance(step, Spread) else 1
    along = [by for moved, by in view.moves if isinstance(step, Spread) and moved == step.var]
    if count > 1 and along != [view.size]:
        return None
    kept = tuple(move for move in view.moves if isinstance(step, Call) or move[0] != step.var)
    return replace(view, shape=(count * view.size,), strides=(1,), moves=kept)


def _nbytes(row: View) -> int:
    return row.size * (row.buffer.nbytes // row.buffer.size)


def _with(step: Simple, rows: Sequence[View], machine: Machine) -> Simple:
    """A product that asks for rows; of one that is dealt out, each piece for its share."""
    if not rows:
        return step
    if isinstance(step, Spread):
        shares = [_share(row, step) for row in rows]
        return replace(step, steps=tuple(_with(c, shares, machine) for c in calls_of(step)))
    codelet = step.codelet
    assert isinstance(codelet, ContractOuter)
    loops, turns = loops_of(codelet, machine.tile.features, machine.tile.memories[0].size)
    if loops < len(rows) or loops * turns * LINE < sum(map(_nbytes, rows)):
        return step
    return replace(
        step, codelet=replace(codelet, asks=tuple(map(_nbytes, rows))), asked=tuple(rows)
    )


def _share(row: View, spread: Spread) -> View:
    size = row.size // spread.count
    return replace(row, shape=(size,), moves=(*row.moves, (spread.var, size)))
