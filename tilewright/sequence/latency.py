"""How long a tick waits for its answer, counted from when it was meant to be sent.

In: what answers a tick, what is done between two, and intended times. Out: delays in nanoseconds,
and their histograms. A tick that is sent late, because the one before was still being answered,
has waited since its intended time: that is counted (no coordinated omission; G. Tene, "How NOT to
measure latency", 2013). Saturated, a tick is meant to be sent when the last has been answered and
the next been prepared for; between, caches may be emptied.

What the machine itself does to a loop that only reads the clock is its floor: no program has less.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from html import escape
from typing import Any, NamedTuple

import numpy as np

from tilewright.errors import ArgumentError
from tilewright.frozen import frozen
from tilewright.sequence.rates import Rates

PERCENTILES = (50.0, 90.0, 99.0, 99.9, 100.0)
DIGITS, MOST = 3, 60 * 10**9
"""Of an HDR histogram: significant digits, and the longest delay, in nanoseconds."""
EMPTIES = 64 << 20
"""Bytes that are written to empty caches."""

Times = np.ndarray
"""int64 (ticks,): nanoseconds from the start, in order."""


def constant(count: int, every: float) -> Times:
    """A tick each `every` seconds. 0: saturated."""
    _check(count, every)
    return np.round(np.arange(count) * every * 1e9).astype(np.int64)


def poisson(count: int, every: float, seed: int = 0) -> Times:
    """Gaps are exponential, of mean `every` seconds."""
    _check(count, every)
    gaps = np.random.default_rng(seed).exponential(every * 1e9, count)
    return np.round(np.cumsum(gaps)).astype(np.int64)


def replayed(stamps: Any) -> Times:
    """The recorded seconds of each tick. Raises `ArgumentError` where they go back."""
    seconds = np.asarray(stamps, np.float64)
    if seconds.ndim != 1 or not len(seconds) or not np.isfinite(seconds).all():
        raise ArgumentError("Times must be one row of finite seconds.")
    if (np.diff(seconds) < 0).any():
        raise ArgumentError("Times must not go back.")
    return np.round((seconds - seconds[0]) * 1e9).astype(np.int64)


def _check(count: int, every: float) -> None:
    if count < 1:
        raise ArgumentError(f"There must be at least one tick, not {count}.")
    if not 0 <= every < 60:
        raise ArgumentError(f"every must be from 0 to 60 seconds, not {every}.")


class Measured(NamedTuple):
    """Nanoseconds (ticks,): from intended sending to answer, and until the next may come."""

    delays: np.ndarray
    between: np.ndarray


def from_python(
    answer: Callable[[Any], Any],
    prepare: Callable[[], Any],
    xs: np.ndarray,
    times: Times,
    *,
    empty: bool = False,
) -> Measured:
    """xs (ticks, ...). Times of 0 are saturated."""
    now, saturated = time.perf_counter_ns, not times.any()
    waste = np.zeros(EMPTIES if empty else 0, np.uint8)
    ticks, due = list(xs), times.tolist()
    delays, between = (np.zeros(len(times), np.int64) for _ in range(2))
    prepare()
    start = now()
    for i, x in enumerate(ticks):
        if empty:
            waste += 1
        intended = now() if saturated else start + due[i]
        while not saturated and now() < intended:
            pass
        answer(x)
        answered = now()
        prepare()
        between[i] = now() - answered
        delays[i] = answered - intended
    return Measured(delays, between)


def floor(seconds: float, length: float) -> np.ndarray:
    """Delays (n,) of a loop that spins for `length` seconds, again and again: what is beyond."""
    now, step, found = time.perf_counter_ns, int(length * 1e9), []
    end = now() + int(seconds * 1e9)
    start = now()
    while start < end:
        due = start + step
        while (start := now()) < due:
            pass
        found.append(start - due)
    return np.array(found, np.int64)


@frozen(eq=False)
class Histogram:
    """Delays as an HDR histogram of three digits; `warm` of them came before and are left out.

    Saturated, `between` is the work until the next tick may come, in nanoseconds, too.
    """

    name: str
    delays: np.ndarray
    warm: int = 0
    between: np.ndarray | None = None

    @property
    def counted(self) -> Any:
        """An `HdrHistogram`."""
        from hdrh.histogram import HdrHistogram

        found = HdrHistogram(1, MOST, DIGITS)
        for delay in np.clip(self.delays[self.warm :], 1, MOST).tolist():
            found.record_value(delay)
        return found

    def percentiles(self) -> dict[float, float]:
        """Microseconds, by percentile; 100 is the largest."""
        counted = self.counted
        return {p: counted.get_value_at_percentile(p) / 1e3 for p in PERCENTILES}

    def rates(self) -> Rates | None:
        """Medians, and the highest rate of ticks."""
        if self.between is None:
            return None
        answer, between = (np.median(a[self.warm :]) / 1e9 for a in (self.delays, self.between))
        return Rates(float(answer), float(between), len(self.delays) - self.warm)

    def to_json(self) -> dict[str, Any]:
        """With all of it, as HdrHistogram's tools read it."""
        return {
            "name": self.name,
            "ticks": len(self.delays) - self.warm,
            "warm": self.warm,
            "microseconds": {str(p): value for p, value in self.percentiles().items()},
            "between": None if (rates := self.rates()) is None else rates.between * 1e6,
            "ticks a second": None if rates is None else rates.highest,
            "hdr": self.counted.encode().decode(),
        }


def chart(histograms: list[Histogram], title: str) -> str:
    """A page: delay by percentile, each histogram a line; on a phone, too.

    A way of sending has a colour; what is measured from C is drawn through, from Python dashed.
    """
    import plotly.graph_objects as go
    from plotly.colors import qualitative

    figure = go.Figure()
    ways = list(dict.fromkeys(histogram.name.rpartition(", ")[2] for histogram in histograms))
    for histogram in histograms:
        side, _, way = histogram.name.rpartition(", ")
        color = "#999" if way == "floor" else qualitative.Dark2[ways.index(way) % 8]
        line = {"color": color, "width": 2, "dash": "dash" if side == "Python" else "solid"}
        delays = np.sort(histogram.delays[histogram.warm :]) / 1e3
        ranks = np.unique(np.round(len(delays) * (1 - np.geomspace(1, 1 / len(delays), 400))))
        at = np.minimum(ranks.astype(int), len(delays) - 1)
        x = len(delays) / (len(delays) - at)
        figure.add_scatter(x=x, y=np.maximum(delays[at], 1e-3), name=histogram.name, line=line)
    ticks = [2, 10, 100, 1000, 10_000, 100_000]
    labels = ["50 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %"]
    axis = {"type": "log", "tickvals": ticks, "ticktext": labels, "tickangle": 0}
    figure.update_xaxes(**axis, title="of ticks wait no longer")
    figure.update_yaxes(
        type="log", title="µs from intended sending to answer", exponentformat="none", dtick=1
    )
    figure.update_layout(
        template="plotly_white",
        height=640,
        margin={"l": 70, "r": 15, "t": 10, "b": 10},
        legend={"orientation": "h", "y": -0.2, "yanchor": "top"},
    )
    drawn = figure.to_html(
        full_html=False, include_plotlyjs=True, config={"responsive": True, "displaylogo": False}
    )
    return _PAGE.format(title=escape(title), drawn=drawn)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 1rem auto;
padding: 0 0.75rem }} h1 {{ font-size: 1.3rem }}</style></head>
<body><h1>{title}</h1>
<p>A tick that is sent late, because the one before was still being answered, has waited since it
was meant to be sent. The floor is a loop that only reads the clock: no program on this machine has
less. Dashed: from Python.</p>
{drawn}</body></html>
"""
