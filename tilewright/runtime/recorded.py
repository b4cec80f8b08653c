"""How often loops of unknown length turned in a run: what timing on another machine needs.

In: an Executable and arguments. Out: {name: turns each time the loop is entered}, by the names of
`simulate/trips.py`: a number, or, for loops inside a top-level map whose results can be streamed,
an array with one for each instance.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tilewright.codegen.program import emit
from tilewright.machine.host import host_machine
from tilewright.plan.ir import Branch, Loop, Map, Program, Spread, Step, While
from tilewright.runtime.executable import Executable
from tilewright.runtime.made import Made
from tilewright.simulate.trips import named

Turned = dict[int, np.ndarray]
"""Turns of each `While` by its id, in all or of each instance."""


def recorded(executable: Executable, args: Sequence[Any], options: Mapping[str, Any]) -> dict:
    """Run once, on one tile where instances are to be told apart."""
    program: Program = executable.compiled.program
    loops = named(program)
    if not loops:
        return {}
    names = emit(program, host_machine()).turns
    streamed = executable.image.streamed
    top = next((s for s in program.steps if isinstance(s, Map)), None)
    if streamed is not None and top is not None and streamed.count == top.count:
        counts = _by_instance(executable, args, options, top.count)
    else:
        run = executable.start(*args, **options)
        run.result()
        counts = {name: np.array(float(n)) for name, n in run.progress().trips.items()}
    total = {id(loop): counts[names[id(loop)]] for loop, _ in loops.values()}
    entered: Turned = {}
    _enter(program.steps, np.array(1.0), total, entered, np.ndim(next(iter(total.values()))) > 0)
    found = {}
    for name, (loop, _) in loops.items():
        times = entered[id(loop)]
        mean = np.where(times > 0, total[id(loop)] / np.maximum(times, 1e-9), 0.0)
        found[name] = mean if mean.ndim else float(mean)
    return found


def _by_instance(
    executable: Executable, args: Sequence[Any], options: Mapping[str, Any], count: int
) -> dict[str, np.ndarray]:
    """One worker and one place for results: the next instance waits until we have looked."""
    image = replace(executable.image, tiles=1)
    alone = Executable(Made(image), signature=executable.signature)
    rows: list[dict[str, int]] = []
    with alone.start(*args, stream=True, slots=1, **options) as run:
        results = run.finished(ordered=True)
        for number in range(count):
            while run.progress().completed <= number and not run.done:
                time.sleep(2e-5)
            rows.append(dict(run.progress().trips))
            next(results)
    names = rows[0] if rows else {}
    return {name: np.diff([0.0, *(row[name] for row in rows)]) for name in names}


def _enter(
    steps: Sequence[Step], times: np.ndarray, total: Turned, entered: Turned, apart: bool
) -> None:
    """How often each loop is entered: cases of a branch, as often as the branch."""
    for step in steps:
        match step:
            case While(condition, _, body):
                entered[id(step)] = times
                turns = total[id(step)]
                _enter(condition, turns + times, total, entered, apart)
                _enter(body, turns, total, entered, apart)
            case Map(_, count, body):
                _enter(body, times if apart else times * count, total, entered, apart)
            case Loop(_, count, body) | Spread(_, count, body):
                _enter(body, times * count, total, entered, apart)
            case Branch(_, cases):
                for case in cases:
                    _enter(case, times, total, entered, apart)
            case _:
                pass
