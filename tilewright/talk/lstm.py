"""The talk's LSTM over whole windows: latency against throughput by precision, with errors.

Every contender answers the same batch by turns, on all cores (a peer that is faster on one thread
has one); a latency is a call's, on the clock. A turn is a few calls, one after the other, and
begins when the threads of whoever was there before have come to rest: for as long as a peer's spin
on, a core is theirs. p99 is given where there are a hundred calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec

import numpy as np

from tilewright.bench import gpu
from tilewright.bench import precision as bench
from tilewright.bench.rounds import at_rest
from tilewright.machine.cpu import cpu_limit
from tilewright.models import recurrent
from tilewright.talk.figures import Point, measured
from tilewright.talk.installed import missing, no_gpu
from tilewright.talk.record import Outcome

ROUNDS = {1: (20, 10), 2: (12, 10), 4: (10, 10), 16: (8, 5), 64: (5, 3), 256: (7, 1), 1024: (5, 1)}
"""Turns, and calls in each, by batch."""
SECONDS = {1: 40, 2: 40, 4: 50, 16: 50, 64: 70, 256: 90, 1024: 240}
MANY = 100
"""Calls from which on a 99th percentile means something."""


def run(batch: int) -> Outcome:
    """A point a contender: seconds of a call; windows a second, p99 and error beside it."""
    absent = missing("PyTorch", "ONNX Runtime", "OpenVINO") | no_gpu()
    contenders, errors = _contenders(batch)
    data, model = bench.windows(batch), bench.drawn()
    calls: dict[str, Callable[[], object]] = {
        name: partial(answer, data) for name, answer in contenders.items()
    }
    calls |= gpu.calling(partial(recurrent.window, model.net), model.weights, data)
    return Outcome("lstm", points(f"batch {batch}", calls, batch, errors, ROUNDS[batch]), absent)


def points(
    case: str,
    calls: Mapping[str, Callable[[], object]],
    batch: int,
    errors: Mapping[str, float],
    rounds: tuple[int, int],
) -> tuple[Point, ...]:
    """So many turns of so many calls; all are warm after the first."""
    for call in calls.values():
        call()
    turns, each = rounds
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(turns):
        for name, call in calls.items():
            at_rest()
            seconds[name] += [bench.seconds_of(call) for _ in range(each)]
    found = []
    for name, taken in seconds.items():
        figure = measured(f"lstm: {case}", taken, "ms")
        more = {"windows/s": batch / float(np.median(taken)), "error": errors.get(name)}
        if len(taken) >= MANY:
            more["p99 ms"] = float(np.percentile(taken, 99)) * 1e3
        found.append(Point(case, name, figure, more))
    return tuple(found)


def _contenders(batch: int) -> tuple[dict[str, bench.Answers], dict[str, float]]:
    """Answers by name, and the root mean square of their errors over the answers' deviation."""
    if find_spec("torch") is None:
        return _alone(batch), {}
    contenders, errors = bench.contenders(batch, threads=cpu_limit())
    return {_named(name): answer for name, answer in contenders.items()}, {
        _named(name): error for name, error in errors.items()
    }


def _named(name: str) -> str:
    from tilewright.sequence.precision import PRECISIONS

    return f"tilewright, {name}" if name in PRECISIONS else name


def _alone(batch: int) -> dict[str, bench.Answers]:
    """Without PyTorch, whose initial weights the others take: ours and JAX."""
    import jax

    model = bench.drawn()
    theirs = jax.jit(partial(recurrent.window, model.net, model.weights))
    ours = bench.ours(model, batch, tiles=cpu_limit())
    return {_named(name): answer for name, answer in ours.items()} | {
        "JAX": lambda x: np.asarray(theirs(x))
    }
