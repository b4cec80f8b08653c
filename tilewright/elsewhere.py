"""Plans for a machine whose tiles share no memory: the ways in which it may do one function.

In: the stages of a compilation. Out: `Way`s by name. Of a `tile_map` an instance has a tile
("tiles") or a chip ("chips"); what is none has all tiles ("tiles") or, of several chips, one alone
("chip"). A caller may ask for parts on chips of their own ("stages"), and gets no other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from tilewright.plan.apart.in_pipeline import pipelined
from tilewright.plan.apart.pipeline import Part, parts_of, recut
from tilewright.plan.apart.replicas import instances, one_chip, one_instance, over_chips
from tilewright.plan.lower import lower
from tilewright.simulate.cycles import run
from tilewright.simulate.trips import named as unknown
from tilewright.simulate.ways import Plan, Way, best, way

Stages = Any
"""`stages.Stages`, which comes after this: of a graph on a machine, each made when asked for."""


def ways(stages: Stages) -> dict[str, Way]:
    machine = stages.machine
    if stages.parts is not None:
        return {"stages": _sooner(stages, _in_parts)}
    found = {"tiles": _sooner(stages, lambda given: lower(given.graph, machine))}
    if machine.chips > 1:
        found["chip"] = _sooner(stages, _by_one)
    if instances(stages.halves[1]) is not None:
        found["chips"] = _sooner(stages, _by_chips)
    return found


def _sooner(stages: Stages, plan: Callable[[Stages], Plan]) -> Way:
    """Where products skip zero blocks, also with some or all of them done whole: as is sooner."""
    some = {"skipping": stages, **stages.others}
    return best({name: way(partial(plan, one), stages.machine) for name, one in some.items()})


def _by_one(stages: Stages) -> Plan:
    alone = stages.on(one_chip(stages.machine))
    program, literals = lower(alone.graph, alone.machine)
    return replace(program, tiles=stages.machine.tiles), literals


def _by_chips(stages: Stages) -> Plan:
    split = instances(stages.halves[1])
    assert split is not None, "zero blocks change no map"
    program, literals = stages.inside(split.body, "instance").lowered
    return over_chips(program, split, stages.machine), literals


AGAIN, EVEN = 4, 1.02
"""How often parts are cut anew at most, by what they took; when they are even enough: the dearest
over the mean."""


def _in_parts(stages: Stages) -> Plan:
    """The cut whose dearest part is the cheapest, of those that were tried."""
    graph, number = stages.halves[1], stages.parts or 1
    found = instances(graph) or one_instance(graph)
    parts, costs = parts_of(found.body, found.shared, number, stages.machine), None
    planned = _Parts(stages)
    best, least = parts, planned.cycles(parts)
    for _ in range(AGAIN):
        took = planned.cycles(parts)
        if took is None or least is None or max(took) <= EVEN * sum(took) / number:
            break
        costs = recut(parts, took)
        parts = parts_of(found.body, found.shared, number, stages.machine, costs)
        took = planned.cycles(parts)
        if took is not None and max(took) < max(least):
            best, least = parts, took
    plans = [planned.plan(part) for part in best]
    literals = [data for _, some in plans for data in some]
    return pipelined(found, best, [plan for plan, _ in plans], stages.machine), literals


class _Parts:
    """Plans of parts for a chip, each made once, however often parts are cut."""

    def __init__(self, stages: Stages):
        self.stages, self.chip = stages, one_chip(stages.machine)
        self.known: dict[tuple[object, ...], Plan] = {}

    def plan(self, part: Part) -> Plan:
        key = (*map(id, part.graph.nodes), *map(id, part.leaves))
        if key not in self.known:
            inside = self.stages.inside(part.graph, "part")
            self.known[key] = lower(inside.graph, self.chip)
        return self.known[key]

    def cycles(self, parts: Sequence[Part]) -> list[float] | None:
        """Of each in a turn; None where loops have no known length."""
        programs = [self.plan(part)[0] for part in parts]
        if any(unknown(program) for program in programs):
            return None
        return [run(program, self.chip).cycles for program in programs]
