"""The talk's net in every precision beside its peers, each with its error against float64.

Windows of 200 steps of a 2 x 256 LSTM with random weights: one thread, whose processor time counts;
and on all cores by the clock, where a peer has one thread or all, whichever is faster. Peers are
those of `recurrent_peers.py` that are installed. All hold the same weights.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from tilewright.bench import recurrent_peers
from tilewright.bench.beside import beside, unless_pretended
from tilewright.bench.gpu import clocked
from tilewright.bench.level import bar
from tilewright.bench.record import Row
from tilewright.bench.recurrent import WINDOW, timed
from tilewright.bench.recurrent_peers import Answers, precision_of
from tilewright.bench.rounds import Rounds, compare
from tilewright.machine.cpu import cpu_limit

HIDDEN, INPUTS, STEPS = 256, 16, 200
TRIED = 64
"""Windows over which errors are taken."""
BATCHES = (1, 64)
AGAINST_SINGLE = {
    ("bfloat16", 1): bar(1.6, None),
    ("bfloat16x16", 1): bar(1.6, 1.8),
    ("int8", 1): 3.0,
    ("int8x8", 1): 3.0,
}
"""Times as fast as the best peer in float32 or bfloat16."""
AGAINST_BYTES = {1: 1.4, 64: 1.1}
"""Times as fast as the best of the peers' int8, of ours the fastest that errs no more."""
MOST = {"bfloat16": 0.008, "bfloat16x16": 0.008, "int8": 0.015, "int8x8": 0.015}
"""Errors: the root mean square over the answers' deviation."""


def cases(quick: bool) -> Iterable[tuple[str, Callable[[], Sequence[Row]]]]:
    for batch in BATCHES[:1] if quick else BATCHES:
        yield f"batch {batch}", partial(run, batch, 3 if quick else 15)
    if (cores := cpu_limit()) > 1 and not quick:
        for batch in BATCHES:
            yield f"batch {batch}, {cores} cores", partial(run, batch, 15, threads=cores)


def run(
    batch: int, rounds: int, hidden: int = HIDDEN, steps: int = STEPS, threads: int = 1
) -> list[Row]:
    """A row a precision against the best peer in float32, then one against those in int8."""
    if find_spec("torch") is None:
        return []
    from tilewright.sequence.precision import PRECISIONS

    able, errors = contenders(batch, hidden, steps, threads)
    what = f"talk's net, batch {batch}" + (f", {threads} threads" if threads > 1 else "")
    peers = [name for name in able if name not in PRECISIONS]
    data = windows(batch, steps)
    timing = clocked if threads > 1 else timed
    runs = {name: timing(partial(answer, data)) for name, answer in able.items()}
    measured = compare(runs, rounds, keep=tuple(runs))
    notes = "; ".join(f"{n} {measured.median(n) * 1e3:.2f} ms, {errors[n]:.2%}" for n in runs)
    able_to = {kind: [name for name in peers if precision_of(name) == kind] for kind in PRECISIONS}
    single, half, quantised = (able_to[kind] for kind in ("float32", "bfloat16", "int8"))
    rows = []
    for p in PRECISIONS:
        peer = measured.best(single if p == "float32" else [*single, *half])
        limit = AGAINST_SINGLE.get((p, batch))
        if threads > 1 and (p, batch) == ("float32", 1):  # on one thread a row of `recurrent.py`
            limit = WINDOW["lstm"]
        rows.append(_row(what, p, peer, measured, errors, limit, notes))
    best = measured.best(quantised)
    rows.append(_best_bytes(what, best, measured, errors, AGAINST_BYTES[batch]))
    return rows


def windows(count: int, steps: int = STEPS) -> np.ndarray:
    """(count, steps, inputs); the first ones are always the same."""
    return np.random.default_rng(2).normal(size=(count, steps, INPUTS)).astype(np.float32)


def contenders(
    batch: int, hidden: int = HIDDEN, steps: int = STEPS, threads: int = 1
) -> tuple[dict[str, Answers], dict[str, float]]:
    """Ours by precision, then the peers; and their errors over `TRIED` windows. Needs PyTorch.

    Ours have as many tiles as threads; a peer has one or all of them, whichever is faster.
    """
    from tilewright.sequence import load
    from tilewright.sequence.precision import exact

    source = net_of(hidden)
    model, data = load(source), windows(max(batch, TRIED), steps)
    wanted = exact(model.net, model.weights, data[:TRIED])
    peers = recurrent_peers.answering(source, data[:batch])
    if threads > 1:
        more = recurrent_peers.answering(source, data[:batch], threads)
        peers = {name: _faster(one, more[name], data[:batch]) for name, one in peers.items()}
    found = ours(model, batch, steps, threads) | peers
    return found, {name: _error(answer, data, wanted, batch) for name, answer in found.items()}


def _faster(one: Answers, other: Answers, data: np.ndarray) -> Answers:
    """By the better of two calls each, once they are warm."""
    taken = {}
    for answer in (one, other):
        answer(data)
        taken[answer] = min(seconds_of(partial(answer, data)) for _ in range(2))
    return min(taken, key=lambda answer: taken[answer])


def seconds_of(call: Callable[[], object]) -> float:
    """On the clock."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def drawn(hidden: int = HIDDEN) -> Any:
    """A model of the same shape with random weights of our own, for hosts without PyTorch."""
    import jax

    from tilewright.models import recurrent
    from tilewright.sequence.model import Model

    layers = tuple(recurrent.Layer("lstm", inputs, hidden) for inputs in (INPUTS, hidden))
    net = recurrent.Recurrent(layers, (recurrent.Dense(hidden, 1),))
    held = jax.tree.map(np.asarray, recurrent.initial(net, jax.random.key(0)))
    return Model(net, held)


def ours(model: Any, batch: int, steps: int = STEPS, tiles: int = 1) -> dict[str, Answers]:
    """Windows of a loaded model by precision."""
    from tilewright.sequence.precision import PRECISIONS

    return {p: model.window(batch, steps, precision=p, tiles=tiles) for p in PRECISIONS}


def _row(
    what: str,
    name: str,
    peer: str,
    measured: Rounds,
    errors: Mapping[str, float],
    limit: float | None,
    notes: str,
) -> Row:
    return beside(
        "precision", f"{what}, {name}, error {errors[name]:.2%}", measured, name, peer,
        unless_pretended(limit), notes=notes,
        more={"error": errors[name], "allowed": MOST.get(name)},
    )  # fmt: skip


def _best_bytes(
    what: str, peer: str, measured: Rounds, errors: Mapping[str, float], limit: float
) -> Row:
    able = [p for p in ("int8", "int8x8") if errors[p] <= errors[peer]] or ["int8"]
    best = measured.best(able)
    name = f"{what}, {best}, against int8, error {errors[peer]:.2%}"
    return beside("precision", name, measured, best, peer, unless_pretended(limit))


def _error(answer: Answers, data: np.ndarray, wanted: np.ndarray, batch: int) -> float:
    from tilewright.sequence.precision import error

    found = [answer(data[i : i + batch]) for i in range(0, len(wanted), batch)]
    return error(np.concatenate(found)[: len(wanted)], wanted).rms


def net_of(hidden: int = HIDDEN) -> Any:
    """PyTorch's, with its initial weights."""
    torch = import_module("torch")
    torch.manual_seed(0)
    torch.set_num_threads(1)

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.LSTM(INPUTS, hidden, 2, batch_first=True)
            self.head = torch.nn.Linear(hidden, 1)

        def forward(self, x: Any) -> Any:
            return self.head(self.layers(x)[0][:, -1])

    return Net().eval()
