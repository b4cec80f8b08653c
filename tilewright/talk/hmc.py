"""The talk's alpha: leapfrogs a second of one chain a core, and what that makes of a whole job.

Peers are pinned JAX processes that run the same unmodified BlackJAX, or NumPyro's sampler, with the
data in both orders; and a GPU, where JAX sees one.
"""

from __future__ import annotations

import numpy as np

from tilewright.bench import hmc as bench
from tilewright.talk.claims import WHOLE
from tilewright.talk.figures import EXTRAPOLATED, Figure, Point, measured
from tilewright.talk.installed import missing, no_gpu
from tilewright.talk.record import Outcome

WINDOWS = ("250 rows", "1,000 rows", "5,000 rows")
"""Beside the talk's own 58,368."""
ROUNDS = 7
WHOLE_LEAPFROGS = 200 * 2 * (100 + 400) * 1000
"""200 windows, two chains of 100 steps of burn-in and 400 draws, 1000 leapfrogs each."""


def run(size: str) -> Outcome:
    """All contenders in float32, by turns."""
    (case,) = (c for c in bench.CASES if c.name == f"talk's net, {size}")
    row = bench.run(case, ROUNDS)[0]
    seconds, work = row.more["seconds"], row.more["ours"]["leapfrogs"]
    run_name = f"hmc: {size}"
    points = [
        Point(size, named(key), measured(run_name, taken, "leapfrogs/s", work))
        for key, taken in seconds.items()
        if not key.startswith(bench.LOW) and np.isfinite(taken).any()
    ]
    if size == "58,368 rows":
        points += [whole(point) for point in points]
    return Outcome("hmc", tuple(points), missing("NumPyro") | no_gpu())


def named(key: str) -> str:
    """A contender of the bench in words."""
    if key == bench.FULL:
        return "tilewright"
    rest = key.removeprefix(bench.FULL)
    if rest in bench.ORDERS:
        return f"BlackJAX, data by {rest}"
    return rest.replace(bench.NUMPYRO, "NumPyro, data by ")


def whole(point: Point) -> Point:
    """Seconds of the talk's whole job at the rate measured."""
    seconds = WHOLE_LEAPFROGS / point.figure.value
    figure = Figure(seconds, "s", EXTRAPOLATED, "the rate measured here, all cores")
    return Point(WHOLE, point.who, figure)
