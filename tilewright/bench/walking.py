"""Jobs of the alpha's scale net from day to day: what is gained by not starting over, and waits.

    warm chains     effective draws a second of processor time where chains go on from the window
                    before, against chains that all start cold, on the same windows; beside them
                    the largest R-hat, and how far means lie from those of long cold chains
    the first draw  a call with rows that were never seen, until its first draws are there
    tomorrow        `predict --today` from a cold shell, of 20 stocks
    two nodes       a job on two nodes of Ray, of one CPU each, against one process on two

Windows are of 1,000 days and 20 stocks, spread over the years. `python -m
tilewright.bench.walking CASE COUNT` is the process, pinned to one core, that measures the first
two; the others are processes of their own by nature. What ten thousand windows need is a test
(`tests/alpha/scale/test_many_windows.py`), and so is the page of five hundred instruments.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tilewright.alpha.scale.settings import ScaleChain, ScaleSettings
from tilewright.bench.record import Row
from tilewright.machine.cpu import allowed_cpus

WARM, FIRST = "warm", "first"
WARM_BAR, FIRST_BAR, TOMORROW_BAR, NODES_BAR = 1.5, 50.0, 2.0, 0.9
LONG = 4
"""How many times as many draws the chains have that means are held against."""
ROWS = 9
"""Held-out rows that are looked at."""
SETTINGS = ScaleSettings(test=63)
SHORTEST = ScaleChain(climb=0, warmup=20, rewarm=1, draws=4, doublings=1)
"""A warm one takes five gradients: what else a call takes is nearly all of it."""
TIMEOUT = 3600
SHELL = [sys.executable, "-c", "from tilewright.cli import main; main()", "alpha"]
ON_NODES = """
import sys
from ray.cluster_utils import Cluster
from tilewright.bench.walking import nodes_job
cluster = Cluster(initialize_head=True, head_node_args=dict(num_cpus=1, include_dashboard=False))
cluster.add_node(num_cpus=1)
print(nodes_job(sys.argv[1], int(sys.argv[2]), cluster.address))
cluster.shutdown()
"""
ALONE = """
import sys
from tilewright.bench.walking import nodes_job
print(nodes_job(sys.argv[1], int(sys.argv[2])))
"""


def cases(quick: bool) -> Iterable[tuple[str, Callable[[], Sequence[Row]]]]:
    yield "warm chains", partial(run_warm, 1 if quick else 8)
    yield "the first draw", partial(run_first, 3 if quick else 15)
    yield "tomorrow", partial(run_tomorrow, 3 if quick else 9)
    if find_spec("ray"):
        yield "two nodes", partial(run_nodes, 2 if quick else 11, 1 if quick else 3)


def run_warm(windows: int) -> list[Row]:
    """A row for windows as a job runs them, with one cold chain of four, and one without it."""
    found = _fresh(WARM, windows)
    rows = []
    for kind, name in (("mixed", "as a job runs them"), ("warm", "warm ones alone")):
        ours, cold = (np.array([one[k]["rate"] for one in found]) for k in (kind, "cold"))
        low, middle, high = np.percentile(ours / cold, [25, 50, 75])
        worst = {k: max(one[k]["r_hat"] for one in found) for k in (kind, "cold")}
        z = max(one[kind]["z"] for one in found)
        rows.append(Row(
            "walking", f"four chains of a window, {name}",
            float(np.median(ours)), "effective draws/s", float(np.median(cold)), "all cold",
            float(middle), float(low), float(high), WARM_BAR if kind == "mixed" else None,
            notes=f"worst R-hat {worst[kind]:.3f} (cold {worst['cold']:.3f}), largest |z| to long "
            f"cold chains {z:.1f}; {len(found)} windows",
            detail=kind != "mixed", more={"runs": found},
        ))  # fmt: skip
    return rows


def run_first(repeats: int) -> list[Row]:
    """Milliseconds; quartiles are in the notes."""
    low, middle, high = np.percentile(_fresh(FIRST, repeats), [25, 50, 75])
    notes = f"quartiles {low:.1f} and {high:.1f} ms"
    name = "new rows to the first draw, less its gradients"
    return [Row("walking", name, float(middle), "ms", bar=FIRST_BAR, at_most=True, notes=notes)]


def run_tomorrow(repeats: int, job: Callable[[Path], None] | None = None) -> list[Row]:
    """Seconds from the shell's line to its last; the model is fitted before."""
    with TemporaryDirectory() as place:
        folder = Path(place) / "job"
        (job or _job)(folder)
        seconds = [_clocked([*SHELL, "predict", str(folder), "--today"]) for _ in range(repeats)]
    return [Row("walking", "predict --today, from a cold shell", statistics.median(seconds[1:]),
                "s", bar=TOMORROW_BAR, at_most=True, more={"seconds": seconds})]  # fmt: skip


def run_nodes(windows: int, rounds: int) -> list[Row]:
    """By turns; the seconds are those of the walk, once the cluster is there."""
    nodes, alone = [], []
    for _ in range(rounds):
        for code, found in ((ON_NODES, nodes), (ALONE, alone)):
            with TemporaryDirectory() as place:
                said = _said([sys.executable, "-c", code, f"{place}/job", str(windows)])
            found.append(float(said.split()[-1]))
    ratios = np.array(alone) / nodes
    low, middle, high = np.percentile(ratios, [25, 50, 75])
    return [Row("walking", f"{windows} windows on two nodes of Ray", statistics.median(nodes), "s",
                statistics.median(alone), "one process on two cores", float(middle), float(low),
                float(high), NODES_BAR, more={"nodes": nodes, "alone": alone})]  # fmt: skip


def nodes_job(folder: str, windows: int, cluster: str | None = None) -> float:
    """Seconds of a walk over the newest windows of the 20 stocks."""
    from tilewright.alpha.scale.walk import walk
    from tilewright.alpha.tables import sp500

    prices = sp500()
    first = prices.days[-1 - SETTINGS.test * windows]
    began = time.monotonic()
    walk(prices, replace(SETTINGS, first=first, sequence=1, rivals="few"), folder, cluster=cluster)
    return time.monotonic() - began


def _job(folder: Path) -> None:
    """The newest model of the 20 stocks, in the size that it has, of chains cut short."""
    from tilewright.alpha.scale.walk import walk
    from tilewright.alpha.tables import sp500

    prices = sp500()
    short = replace(SETTINGS.chain, climb=20, warmup=20, doublings=1)
    walk(prices, replace(SETTINGS, chain=short, first=prices.days[-1]), folder)


def _fresh(case: str, count: int) -> list[Any]:
    """What such a process prints."""
    return json.loads(_said([sys.executable, "-m", __name__, case, str(count)]).splitlines()[-1])


def _said(command: Sequence[str]) -> str:
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
        timeout=TIMEOUT,
    ).stdout  # fmt: skip


def _clocked(command: Sequence[str]) -> float:
    began = time.monotonic()
    _said(command)
    return time.monotonic() - began


# What the fresh process does.


def main(case: str, count: str) -> None:
    os.sched_setaffinity(0, {max(allowed_cpus())})
    print(json.dumps({WARM: _warm, FIRST: _first}[case](int(count))))


def _panel() -> tuple[Any, list[Any]]:
    """That of the 20 stocks, and its whole windows."""
    from tilewright.alpha.scale.panel import make_panel
    from tilewright.alpha.tables import sp500
    from tilewright.alpha.walking.windows import windows_of

    prices = sp500()
    whole = [window for window in windows_of(prices.days, SETTINGS) if window.whole]
    return make_panel(prices, SETTINGS.horizon), whole


def _warm(count: int) -> list[dict[str, Any]]:
    """Of windows spread over the years, each with the one before it, which is not timed."""
    panel, whole = _panel()
    places = np.linspace(1, len(whole) - 1, count).astype(int)
    return [compared(SETTINGS, panel, *whole[place - 1 : place + 1]) for place in places]


def compared(settings: ScaleSettings, panel: Any, before: Any, window: Any) -> dict[str, Any]:
    """Of a window's chains all cold, as a job has them, and the warm ones alone."""
    from tilewright.alpha.scale.panel import test_rows, training_rows
    from tilewright.alpha.scale.program import fit_window

    rows = training_rows(panel, window)
    X = test_rows(panel, window, rows)[1]
    X = X[np.linspace(0, len(X) - 1, ROWS).astype(int)]
    state = fit_window(settings, training_rows(panel, before), before, None, "real").state
    chain = replace(settings.chain, draws=LONG * settings.chain.draws)
    longer = replace(settings, chain=chain, seed=settings.seed + 1)
    long = _looked_at(fit_window(longer, rows, window, None, "real"), X)
    found = {}
    for name, start in (("cold", None), ("mixed", state)):
        began = time.process_time()
        fit = fit_window(settings, rows, window, start, "real")
        seconds = time.process_time() - began
        found[name] = _summary(_looked_at(fit, X), seconds, long)
        if start is not None:
            share = float(fit.gradients[~fit.cold].sum() / fit.gradients.sum())
            found["warm"] = _summary(_looked_at(fit, X)[~fit.cold], share * seconds, long)
    return found


def _looked_at(fit: Any, X: np.ndarray) -> np.ndarray:
    """Location, log-scales of rows X and degrees of freedom, (chains, draws, rows + 2)."""
    mean, scale, df = fit.forecasts(X)
    return np.concatenate([mean[..., :1], np.log(scale), df[..., None]], axis=-1)


def _summary(traces: np.ndarray, seconds: float, long: np.ndarray) -> dict[str, float]:
    """Mean effective draws a second, largest R-hat, largest distance to the long chains."""
    import arviz

    sizes, r_hats, distances = [], [], []
    for i in range(traces.shape[2]):
        mine, theirs = (np.ascontiguousarray(part[:, :, i]) for part in (traces, long))
        ess = [float(arviz.ess(part)) for part in (mine, theirs)]
        error = np.hypot(mine.std() / ess[0] ** 0.5, theirs.std() / ess[1] ** 0.5)
        sizes.append(ess[0])
        r_hats.append(float(arviz.rhat(mine)))
        distances.append(abs(mine.mean() - theirs.mean()) / error)
    return {"rate": float(np.mean(sizes)) / seconds, "r_hat": float(np.max(r_hats)),
            "z": float(np.max(distances))}  # fmt: skip


def _first(count: int) -> list[float]:
    """Milliseconds of calls with windows that were never seen, after one that was."""
    panel, whole = _panel()
    chosen = [whole[place] for place in np.linspace(0, len(whole) - 1, count + 1).astype(int)]
    return first_draws(replace(SETTINGS, chain=SHORTEST), panel, chosen)


def first_draws(settings: ScaleSettings, panel: Any, windows: Sequence[Any]) -> list[float]:
    """Of all windows but the first, which is there to compile."""
    from tilewright.alpha.scale.estimate import estimate
    from tilewright.alpha.scale.panel import training_rows
    from tilewright.alpha.scale.program import begin_chain, nothing

    made = [training_rows(panel, window) for window in windows]
    gradient = estimate(settings, made[0], 1, 0, 1, 1).gradient
    seconds = []
    for window, rows in zip(windows, made, strict=True):
        began = time.perf_counter()
        chained = begin_chain(settings, rows, window, "real", 1, nothing(settings)).result()
        gone = time.perf_counter() - began
        seconds.append(gone - gradient * float(np.sum(chained.gradients)))
    return [1000 * s for s in seconds[1:]]


if __name__ == "__main__":
    main(*sys.argv[1:])
