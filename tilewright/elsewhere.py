"""Plans for a machine whose tiles share no memory: the ways in which it may do one function.

In: the stages of a compilation. Out: `Way`s by name. Of a `tile_map` an instance has a tile
("tiles") or a chip ("chips"); what is none has all tiles ("tiles") or, of several chips, one alone
("chip"). A caller may ask for parts on chips of their own ("stages"), and gets no other.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from tilewright.plan.in_pipeline import pipelined
from tilewright.plan.lower import lower
from tilewright.plan.pipeline import parts_of
from tilewright.plan.replicas import Instances, instances, one_chip, one_instance, over_chips
from tilewright.simulate.ways import Plan, Way, way

Stages = Any
"""`compiler.Stages`, which comes after this: of a graph on a machine, each made when asked for."""


def ways(stages: Stages) -> dict[str, Way]:
    machine = stages.machine
    if stages.parts is not None:
        return {"stages": way(partial(_in_parts, stages), machine)}
    found = {"tiles": way(partial(lower, stages.graph, machine), machine)}
    if machine.chips > 1:
        found["chip"] = way(partial(_by_one, stages), machine)
    split = instances(stages.halves[1])
    if split is not None:
        found["chips"] = way(partial(_by_chips, stages, split), machine)
    return found


def _by_one(stages: Stages) -> Plan:
    alone = stages.on(one_chip(stages.machine))
    program, literals = lower(alone.graph, alone.machine)
    return replace(program, tiles=stages.machine.tiles), literals


def _by_chips(stages: Stages, split: Instances) -> Plan:
    program, literals = stages.inside(split.body, "instance").lowered
    return over_chips(program, split, stages.machine), literals


def _in_parts(stages: Stages) -> Plan:
    graph, chip = stages.halves[1], one_chip(stages.machine)
    found = instances(graph) or one_instance(graph)
    parts = parts_of(found.body, found.shared, stages.parts or 1, stages.machine)
    plans = [lower(stages.inside(part.graph, "part").graph, chip) for part in parts]
    literals = [data for _, some in plans for data in some]
    return pipelined(found, parts, [plan for plan, _ in plans], stages.machine), literals
