"""How soon a trained net answers: compiled anew, and from a file, each in a fresh process.

`python -m tilewright.bench.loaded STEP PATH NET` is such a process: it compiles a stream of a net
and leaves it in a file, or loads that, or compiles windows (one, and 64); it prints the seconds.
Imports are not counted.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from tilewright.bench.cold import fresh
from tilewright.bench.record import Row

COLD, CACHED, ANEW = 3.0, 0.2, 1.5
"""Seconds: to compile; to load what the cache holds; to load what it does not."""
NETS = ("talk's net", "shape A", "shape B", "shape C")
BATCHES = {"window": 1, "windows": 64}


def cases(quick: bool) -> Iterable[tuple[str, Callable[[], Sequence[Row]]]]:
    for name in ("shape A",) if quick else NETS:
        yield name, partial(run, name, 1 if quick else 3)


def run(name: str, repeats: int) -> list[Row]:
    found: dict[str, list[float]] = {s: [] for s in ("compiled", "cached", "anew", *BATCHES)}
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            path, module = str(Path(folder, "net.tw")), ["-m", "tilewright.bench.loaded"]
            for step, kept, cache in (
                ("compiled", "compile", "one"), ("cached", "load", "one"), ("anew", "load", "two"),
                *((kind, kind, kind) for kind in BATCHES),
            ):  # fmt: skip
                command = [*module, kept, path, name]
                variables = {"TILEWRIGHT_CACHE": str(Path(folder, cache))}
                found[step].append(float(json.loads(fresh(command, variables))))
    return [
        Row("loaded", f"{name}: {what}", statistics.median(found[step]), "s", bar=bar, at_most=True)
        for step, what, bar in (
            ("compiled", "compiled, cold", COLD),
            ("cached", "loaded, from the cache", CACHED),
            ("anew", "loaded, without it", ANEW),
            ("window", "a window, compiled, cold", COLD),
            ("windows", "64 windows, compiled, cold", COLD),
        )
    ]


# What the fresh process does.


def main(step: str, path: str, name: str) -> None:
    print(json.dumps(_loaded(path) if step == "load" else _compiled(step, path, name)))


def _compiled(step: str, path: str, name: str) -> float:
    import jax  # noqa: F401

    from tilewright.bench.latency import NETS as SIZES
    from tilewright.bench.ticks import NETS as TICKED
    from tilewright.bench.ticks import drawn
    from tilewright.compiler import compile  # noqa: F401

    net = SIZES[name]
    model = drawn((net.inputs, net.hidden, net.layers, 0))
    start = time.perf_counter()
    if step in BATCHES:
        *_, steps = TICKED.get(name, TICKED[NETS[0]])  # the largest net's are as long as the talk's
        model.window(BATCHES[step], steps, tiles=1)
        return time.perf_counter() - start
    stream = model.stream(tiles=1)
    taken = time.perf_counter() - start
    stream.program.save(path)
    return taken


def _loaded(path: str) -> float:
    import tilewright

    load = tilewright.load
    start = time.perf_counter()
    load(path)
    return time.perf_counter() - start


if __name__ == "__main__":
    main(*sys.argv[1:])
