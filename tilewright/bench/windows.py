"""Whole windows at equal precision: the field's shapes, a sequence at a time, and large batches.

Weights are random and held by all; one thread, whose processor time counts. Peers are those of
`recurrent_peers.py` that are installed, the best of the same precision; ours in 8 bits is the
faster of two. In batches a share of the multiply-add peak is given as well (of pairs, where
bfloat16 is multiplied in those), gates and all; and what memory a call of many sequences takes.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from tilewright.bench import recurrent_peers
from tilewright.bench.beside import beside, unless_pretended
from tilewright.bench.cold import fresh
from tilewright.bench.level import bar
from tilewright.bench.record import Row
from tilewright.bench.recurrent import timed
from tilewright.bench.recurrent_peers import precision_of
from tilewright.bench.rounds import Rounds, compare
from tilewright.frozen import frozen
from tilewright.machine.host import host_machine

HALF, BYTES = "bfloat16x16", ("int8", "int8x8")


@frozen
class Case:
    """`bars`: a peer's time over ours in float32, bfloat16 and 8 bits."""

    kind: str
    inputs: int
    hidden: int
    layers: int
    steps: int
    batch: int
    bars: tuple[float | None, float | None, float | None]


CASES: Mapping[str, Case] = {
    "shape A": Case("lstm", 100, 100, 2, 50, 1, (1.2, 1.2, 1.2)),
    "shape B": Case("lstm", 250, 200, 3, 100, 1, (1.2, 1.2, 1.2)),
    "talk's net, batch 64": Case("lstm", 16, 256, 2, 200, 64, (1.0, bar(None, 1.0), 1.1)),
    "talk's net, batch 1024": Case("lstm", 16, 256, 2, 200, 1024, (1.0, bar(None, 1.0), 1.1)),
    "GRU, 2 × 256, batch 64": Case("gru", 16, 256, 2, 200, 64, (1.03, None, None)),
}
SHARE = {"float32": bar(0.8, 0.78), HALF: bar(None, 0.74)}
"""Of the peak, in batches."""
HALF_OVER = bar(1 / 1.02, None)
"""Of ours in bfloat16, over ours in float32: without products of pairs it is to cost no more."""
BYTES_OVER = bar(1.5, 1.6)
"""Of ours in 8 bits: over ours in float32 with AVX2 alone, else over that in bfloat16."""
MEMORY = 64
"""MB that a call may take beside inputs and outputs."""
MANY, ROUNDS = 64, {1: 15, 64: 5, 1024: 2}


def cases(quick: bool) -> Iterable[tuple[str, Callable[[], Sequence[Row]]]]:
    for name in ("shape A",) if quick else CASES:
        case = CASES[name]
        yield name, partial(run, name, case, 2 if quick else ROUNDS[case.batch])


def run(name: str, case: Case, rounds: int) -> list[Row]:
    """Nothing without PyTorch, whose initial weights all hold."""
    if find_spec("torch") is None:
        return []
    from tilewright.sequence import load

    net = _net(case)
    model, xs = load(net), _inputs(case)
    ours = {
        precision: model.window(case.batch, case.steps, precision=precision, tiles=1)
        for precision in ("float32", HALF, *BYTES)
    }
    answers: dict[str, Any] = ours | recurrent_peers.answering(net, xs)
    runs = {who: timed(partial(answer, xs)) for who, answer in answers.items()}
    measured = compare(runs, rounds, keep=tuple(ours))
    rows = list(_against(name, case, measured, [who for who in runs if who not in ours]))
    if case.batch >= MANY:
        rows += _shares(name, model.net.macs(case.steps) * case.batch, measured)
        rows.append(_memory(name, case))
    return rows


def _net(case: Case) -> Any:
    torch = import_module("torch")
    torch.manual_seed(0)
    torch.set_num_threads(1)

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layer = torch.nn.LSTM if case.kind == "lstm" else torch.nn.GRU
            self.layers = layer(case.inputs, case.hidden, case.layers, batch_first=True)
            self.head = torch.nn.Linear(case.hidden, 1)

        def forward(self, x: Any) -> Any:
            return self.head(self.layers(x)[0][:, -1])

    return Net().eval()


def _inputs(case: Case) -> np.ndarray:
    shape = case.batch, case.steps, case.inputs
    return np.random.default_rng(2).normal(size=shape).astype(np.float32)


def _against(name: str, case: Case, measured: Rounds, peers: list[str]) -> Iterable[Row]:
    """A row a precision that a peer has."""
    told = "; ".join(f"{who} {measured.median(who) * 1e3:.3g} ms" for who in measured.seconds)
    ways = ("float32", ["float32"]), ("bfloat16", [HALF]), ("int8", [*BYTES])
    for (kind, mine), limit in zip(ways, case.bars, strict=True):
        able = [peer for peer in peers if precision_of(peer) == kind]
        if not able:
            continue
        best, peer = measured.best(list(mine)), measured.best(able)
        yield beside("windows", f"{name}, {best}", measured, best, peer, unless_pretended(limit),
                     notes=told)  # fmt: skip


def _shares(name: str, macs: int, measured: Rounds) -> Iterable[Row]:
    unit = {u.operands: u.macs for u in host_machine().tile.units}
    pairs = unit.get(("bfloat16", "bfloat16"), 0) / unit["float32", "float32"] or 1.0
    for precision, peak in (("float32", 1.0), (HALF, pairs)):
        ratios = [
            2 * macs / seconds / (flops * peak)
            for seconds, flops in zip(measured.seconds[precision], measured.flops, strict=True)
        ]
        share, limit = float(np.median(ratios)), SHARE[precision]
        yield Row("windows", f"{name}, {precision}: share of the peak", share, "of peak", bar=limit)
    halved = f"{name}, {HALF} over ours in float32"
    yield beside("windows", halved, measured, HALF, "float32", HALF_OVER)
    best, wide = measured.best(list(BYTES)), HALF if pairs > 1 else "float32"
    yield beside("windows", f"{name}, {best} over ours in {wide}", measured, best, wide, BYTES_OVER)


def _memory(name: str, case: Case) -> Row:
    """In a process of its own, whose heap has nothing to spare."""
    sizes = case.kind, case.inputs, case.hidden, case.layers, case.steps, case.batch
    told = fresh(["-m", "tilewright.bench.windows", *map(str, sizes)], {})
    return Row("windows", f"{name}: memory beside inputs and outputs", float(told), "MB",
               bar=MEMORY, at_most=True)  # fmt: skip


def main(kind: str, *sizes: str) -> None:
    """Print by how many MB a first call's residents grow, at most, without outputs."""
    import jax

    from tilewright.models import recurrent
    from tilewright.sequence.model import Model

    inputs, hidden, layers, steps, batch = map(int, sizes)
    below = [inputs] + [hidden] * (layers - 1)
    net = recurrent.Recurrent(
        tuple(recurrent.Layer(kind, n, hidden) for n in below), (recurrent.Dense(hidden, 1),)
    )
    held = jax.tree.map(np.asarray, recurrent.initial(net, jax.random.key(0)))
    window = Model(net, held).window(batch, steps)
    xs = np.ones((batch, steps, inputs), np.float32)
    before = _resident()
    with _Watch() as watch:
        found = window(xs)
    print((watch.most - before - found.nbytes) / 1e6)


class _Watch:
    """The most that was resident, looked at each millisecond."""

    def __enter__(self) -> _Watch:
        self.most, self._over = _resident(), threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def _look(self) -> None:
        while not self._over.is_set():
            self.most = max(self.most, _resident())
            time.sleep(1e-3)

    def __exit__(self, *_: object) -> None:
        self.most = max(self.most, _resident())
        self._over.set()
        self._thread.join()


def _resident() -> int:
    """Bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main(*sys.argv[1:])
