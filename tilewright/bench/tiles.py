"""All tiles against one, on `tile_map` work and nets over images; beside it what the machine gives.

The last row is a loop of multiply-adds on registers, on all cores at once: where that does not
double, cores share what they run on, and nothing else can.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from tilewright.bench.gpu import clocked
from tilewright.bench.hmc import CASES
from tilewright.bench.images import BATCH, net_of, start, synthetic
from tilewright.bench.nuts_workloads import Nuts
from tilewright.bench.ours import Ours
from tilewright.bench.record import Row
from tilewright.bench.rounds import compare
from tilewright.calibrate import FmaPeak
from tilewright.machine.cpu import allowed_cpus
from tilewright.vision import nets


def cases(quick: bool) -> Iterable[tuple[str, Callable[[], Sequence[Row]]]]:
    rounds = 2 if quick else 9
    hmc = replace(CASES[0].spec, chains=16, draws=1, leapfrogs=100 if quick else 1000)
    yield "HMC, 16 chains", partial(run, "HMC, 16 chains of equal length", hmc, rounds)
    nuts = Nuts("logistic", draws=5 if quick else 50)
    yield "NUTS, 64 chains", partial(run, "NUTS, 64 chains of unequal length", nuts, rounds)
    for batch in (1, 2 if quick else BATCH):
        net = net_of("B0", 32 if quick else 224)
        name = f"B0, {net.size} px, batch {batch}"
        yield name, partial(answers, name, net, batch, rounds)
    yield "multiply-adds", partial(registers, rounds, 1_000_000 if quick else 10_000_000)


def bar(share: float = 0.95) -> float:
    """1.9 for two cores."""
    return share * len(allowed_cpus())


def run(name: str, spec: Any, rounds: int) -> list[Row]:
    """One map, compiled for one tile and for one a core."""
    one, many = Ours(spec, tiles=1), Ours(spec)
    return [_row(name, one, many, rounds, one.totals["leapfrogs"], "leapfrogs/s", bar())]


def answers(name: str, net: Any, batch: int, rounds: int) -> list[Row]:
    """A net over images on the clock: spread by images, or by rows and channels of a single one."""
    import tilewright

    module, images = nets.module(net), synthetic(batch, net.size)
    held = start(module, net)
    fn = partial(module.predict, net)
    one, many = (
        clocked(partial(tilewright.compile(fn, *held, images, tiles=count).bind(*held), images))
        for count in (1, len(allowed_cpus()))
    )
    return [_row(name, one, many, rounds, batch, "images/s", bar(0.9 if batch > 1 else 0.8))]


def registers(rounds: int, turns: int) -> list[Row]:
    """The machine's own limit."""
    loop = FmaPeak(turns)
    one, many = partial(_together, loop, 1), partial(_together, loop, len(allowed_cpus()))
    work = len(allowed_cpus()) * loop.codelet.work.flops / 1e9
    name = "multiply-adds on registers (the machine's own limit)"
    return [_row(name, lambda: one() * len(allowed_cpus()), many, rounds, work, "GFLOP/s", None)]


def _row(
    name: str,
    one: Callable[[], float],
    many: Callable[[], float],
    rounds: int,
    work: float,
    unit: str,
    least: float | None,
) -> Row:
    measured = compare({"one": one, "many": many}, rounds, keep=("one", "many"))
    return Row(
        "tiles",
        name,
        work / measured.median("many"),
        unit,
        work / measured.median("one"),
        "one tile",
        *measured.ratio("one", "many"),
        least,
        gflops=measured.gflops,
        more={"seconds": measured.seconds},
    )


def _together(loop: FmaPeak, count: int) -> float:
    """Seconds until `count` pinned threads have each run the loop once."""
    cpus = sorted(allowed_cpus())[:count]
    ready = threading.Barrier(count + 1)

    def work(cpu: int) -> None:
        os.sched_setaffinity(0, {cpu})
        ready.wait()
        loop.run()

    threads = [threading.Thread(target=work, args=(cpu,)) for cpu in cpus]
    for thread in threads:
        thread.start()
    ready.wait()
    start = time.perf_counter()
    for thread in threads:
        thread.join()
    return time.perf_counter() - start
