"""Recurrent nets as they are written: every spelling of a cell, and the talk's net beside peers.

Weights are bound, one thread each, whose processor time counts. A spelling's figure is the slowest
one's time over the best one's; cells of equinox and flax, where they are installed, are spellings.
The peers of the talk's net (2 x 256, 200 steps, 16 inputs, a sequence at a time) are JAX, and
PyTorch, ONNX Runtime and OpenVINO where they are installed; the best counts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from tilewright.bench import cells, onnx_runtime, openvino
from tilewright.bench.beside import beside, unless_pretended
from tilewright.bench.level import bar
from tilewright.bench.record import Row
from tilewright.bench.rounds import compare
from tilewright.bench.spellings import SPELLINGS, SUMMED, program, weights

HIDDEN, INPUTS, STEPS = 256, 256, 50
SPELLED = (("lstm", 1), ("lstm", 20), ("lstm", 64), ("gru", 1), ("gru", 64))
"""Kind and batch."""
STACKED = (1, 64)
"""Batches of two layers as one scan."""
WITHIN = 1.1
LASTS = 0.01
"""Seconds of a sample: weights are then read from where they lie while the net is used."""
WINDOW = {"lstm": bar(1.25, 1.2), "gru": 1.2}
"""The talk's net against the best peer in float32."""

LONG = 0.5
"""Seconds of a call that is not worth making twice before it is timed."""

Timed = Callable[[], float]


def cases(quick: bool) -> Iterable[tuple[str, Callable[[], Sequence[Row]]]]:
    for kind, batch in SPELLED[:1] if quick else SPELLED:
        yield f"{kind}, batch {batch}", partial(run_spellings, kind, batch, 3 if quick else 15)
    for batch in STACKED[:1] if quick else STACKED:
        yield f"two layers, batch {batch}", partial(run_stacked, batch, 3 if quick else 15)
    for kind in ("lstm",) if quick else WINDOW:
        yield f"talk's net, {kind}", partial(run_window, kind, 3 if quick else 30)


def run_spellings(
    kind: str, batch: int, rounds: int, hidden: int = HIDDEN, steps: int = STEPS
) -> list[Row]:
    """The slowest spelling over the best one."""
    given = weights(kind, INPUTS, hidden)
    names = [name for name in SPELLINGS if kind != "gru" or name not in SUMMED]
    programs = {name: program(kind, name, given) for name in names}
    programs |= cells.programs(kind, given)
    what = f"{kind.upper()}, batch {batch}: the slowest of {len(programs)} spellings"
    return [_slowest(what, programs, batch, rounds, steps)]


def run_stacked(batch: int, rounds: int, hidden: int = HIDDEN, steps: int = STEPS) -> list[Row]:
    """Two layers of an LSTM, as a scan each and as one."""
    layers = [weights("lstm", INPUTS, hidden), weights("lstm", hidden, hidden, seed=1)]
    what = f"two layers, LSTM, batch {batch}: the slower of one scan and a scan each"
    return [_slowest(what, cells.stacked("lstm", layers), batch, rounds, steps)]


def _slowest(
    what: str, programs: Mapping[str, cells.Program], batch: int, rounds: int, steps: int
) -> Row:
    """Of programs for one thing, over the best."""
    import tilewright

    xs = np.random.default_rng(1).normal(size=(steps, batch, INPUTS)).astype(np.float32)
    runs = {}
    for name, (held, function) in programs.items():
        bound = tilewright.compile(function, held, xs, tiles=1).bind(held)
        runs[name] = timed(partial(bound, xs))
    measured = compare(runs, rounds, keep=tuple(runs))
    names = sorted(runs, key=measured.median)
    best, slowest = names[0], names[-1]
    ratio, low, high = measured.ratio(slowest, best)
    return Row(
        "recurrent",
        what,
        measured.median(slowest) * 1e3,
        "ms",
        measured.median(best) * 1e3,
        "the best",
        ratio,
        low,
        high,
        WITHIN,
        at_most=True,
        gflops=measured.gflops,
        notes=f"{slowest} against {best}",
        more={"milliseconds": {name: measured.median(name) * 1e3 for name in names}},
    )


def timed(run: Callable[[], Any]) -> Timed:
    """Processor seconds of a call, of as many as take `LASTS`; it has been called before: twice,
    as the first call may have to prepare, unless no preparation can be what took so long."""
    taken = math.inf
    for _ in range(2):
        start = time.process_time()
        run()
        taken = min(taken, time.process_time() - start)
        if taken > LONG:
            break
    turns = max(1, round(LASTS / max(taken, 1e-9)))

    def seconds() -> float:
        start = time.process_time()
        for _ in range(turns):
            run()
        return (time.process_time() - start) / turns

    return seconds


def run_window(kind: str, rounds: int, hidden: int = 256, steps: int = 200) -> list[Row]:
    """The talk's net against all peers."""
    from tilewright.models import recurrent

    layers = (recurrent.Layer(kind, 16, hidden), recurrent.Layer(kind, hidden, hidden))
    net = recurrent.Recurrent(layers, (recurrent.Dense(hidden, 1),))
    xs = np.random.default_rng(1).normal(size=(1, steps, 16)).astype(np.float32)
    runs = {"tilewright": _ours(net, xs), "JAX": _jax(net, xs), **_others(kind, hidden, xs)}
    measured = compare(runs, rounds, keep=tuple(runs))
    peer = measured.best([name for name in runs if name != "tilewright"])
    return [
        beside(
            "recurrent", f"talk's net, {kind.upper()}, batch 1", measured, "tilewright", peer,
            WINDOW[kind] if peer == "JAX" else unless_pretended(WINDOW[kind]),
            notes="; ".join(f"{name} {measured.median(name) * 1e3:.2f} ms" for name in runs),
            more={"gflops": 2 * net.macs(steps) / measured.median("tilewright") / 1e9},
        )
    ]  # fmt: skip


def _ours(net: Any, xs: np.ndarray) -> Timed:
    import jax

    import tilewright
    from tilewright.models.recurrent import initial, window

    held = initial(net, jax.random.key(0))
    bound = tilewright.compile(partial(window, net), held, xs, tiles=1).bind(held)
    return timed(partial(bound, xs))


def _jax(net: Any, xs: np.ndarray) -> Timed:
    """On as many threads as it takes: a product of one row is never split."""
    import jax

    from tilewright.models.recurrent import initial, window

    function = jax.jit(partial(window, net, initial(net, jax.random.key(0))))
    return timed(lambda: function(xs).block_until_ready())


def _others(kind: str, hidden: int, xs: np.ndarray) -> Mapping[str, Timed]:
    """PyTorch, and ONNX Runtime and OpenVINO on what it exports, in float32."""
    if find_spec("torch") is None:
        return {}
    torch = import_module("torch")
    torch.set_num_threads(1)

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layer = torch.nn.LSTM if kind == "lstm" else torch.nn.GRU
            self.layers = layer(16, hidden, 2, batch_first=True)
            self.head = torch.nn.Linear(hidden, 1)

        def forward(self, x: Any) -> Any:
            return self.head(self.layers(x)[0][:, -1])

    net, x = Net().eval(), torch.from_numpy(xs)

    def run() -> Any:
        with torch.inference_mode():
            return net(x)

    found = {"PyTorch": timed(run)}
    if onnx_runtime.is_here():
        answer = onnx_runtime.answering(onnx_runtime.exported(torch, net, x))
        found["ONNX Runtime"] = timed(partial(answer, xs))
    if openvino.is_here():
        answer = openvino.answering(onnx_runtime.exported(torch, net, x), x.shape)[openvino.NAME]
        found[openvino.NAME] = timed(partial(answer, xs))
    return found
