"""What zero blocks of weights are worth: products and a recurrent net, against their dense selves.

Blocks of 4 x 16 are gone at random. Products are vertices alone, one core, of 512 x 512 in float32:
a megabyte, as much as an L2 holds. How each is done, the planner chooses by its price, as for any
program whose weights are bound. SciPy's best sparse matrix (by rows, or in blocks of 4 x 16) is
timed beside. The net is the talk's LSTM, whose every matrix has lost as much: windows of 200 steps,
and a tick of a stream through Python. What learns is an LSTM of as many inputs, steps and sequences
as in `learning.py`: a step is its gradient, clipped, and AdamW; of its recurrent matrix, blocks are
declared (`tilewright.blocks`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Any

import numpy as np

from tilewright.bench import precision
from tilewright.bench.apart import pinned
from tilewright.bench.learning import BATCH, INPUTS, STEPS
from tilewright.bench.record import Row
from tilewright.bench.recurrent import timed
from tilewright.bench.rounds import Rounds, compare
from tilewright.calibrate import Alone
from tilewright.codelets.base import Codelet, Operand
from tilewright.codelets.contract import ContractBlocks, ContractPanels
from tilewright.graph.blocks import chosen
from tilewright.graph.ir import Builder, Type
from tilewright.graph.law import LANES
from tilewright.graph.ops.packed import pack
from tilewright.graph.pattern import lines_of
from tilewright.machine.host import host_machine
from tilewright.plan.ir import dense_strides

SIZE, TALL = 512, 4
DENSITIES = (0.8, 0.5, 0.25, 0.1)
BARS = {(1, 0.8): 1.0, (64, 0.8): 1.0, (1, 0.25): 3.0, (1, 0.1): 6.0, (64, 0.25): 2.2}
"""Times as fast as dense, by rows and density; at 0.8 no slower."""
LASTS = 2e-3
"""Seconds of a product's turns."""
TICKS = 200
WIDTHS, LEARNED = (128, 256), (0.5, 0.25)
"""Units of nets that learn, and what is left of their recurrent matrices."""


def cases(quick: bool) -> Iterable[tuple[str, Callable[[], Sequence[Row]]]]:
    rounds = 3 if quick else 15
    for rows in (1, 64):
        yield f"{rows} × {SIZE} × {SIZE}", partial(run, rows, SIZE, rounds)
    if not quick:
        yield "talk's net", partial(run_net, rounds)
    for hidden in WIDTHS[:1] if quick else WIDTHS:
        yield f"a training step of {hidden} units", partial(pinned, run_step, hidden, rounds)


def pruned(matrix: np.ndarray, density: float, seed: int) -> np.ndarray:
    """(k, n) with zeros for all but a share of blocks of 4 x 16, at random."""
    k, n = matrix.shape
    kept = np.random.default_rng(seed).random((-(-k // TALL), -(-n // LANES))) < density
    return matrix * np.repeat(np.repeat(kept, TALL, 0), LANES, 1)[:k, :n].astype(matrix.dtype)


def run(rows: int, size: int, rounds: int) -> list[Row]:
    """Products of so many rows at every density."""
    random = np.random.default_rng(0)
    matrix = random.normal(size=(size, size)).astype(np.float32)
    x = random.normal(size=(rows, size)).astype(np.float32)
    turns = max(1, round(LASTS * 1e11 / (2 * rows * size * size)))
    runs: dict[str, Callable[[], float]] = {"dense": _alone(*product(x, matrix), turns)}
    for density in DENSITIES:
        thin = pruned(matrix, density, 1)
        runs[f"{density}"] = _alone(*product(x, thin), turns)
        runs |= {f"{name} {density}": timed(call) for name, call in _scipy(x, thin).items()}
    measured = compare(runs, rounds, keep=tuple(runs))
    return [_row(rows, size, density, measured) for density in DENSITIES]


def product(x: np.ndarray, matrix: np.ndarray) -> tuple[Codelet, Sequence[np.ndarray]]:
    """As the planner does it, and its operands."""
    panels = pack(matrix)
    lines = lines_of(panels)
    out = _operand(np.empty((len(x), matrix.shape[1]), np.float32))
    builder = Builder([Type("float32", x.shape), Type("float32", panels.shape)])
    graph = builder.graph([builder.op("dot_packed", *builder.inputs, columns=matrix.shape[1])])
    found = chosen(graph, {1: lines}, host_machine())
    if not found:
        return ContractPanels(_operand(x), _operand(panels), out), (x, panels)
    arrays = (x, found[1].blocks(panels), *found[1].tables())
    lhs, blocks, places, starts = map(_operand, arrays)
    return ContractBlocks(lhs, blocks, places, starts, out), arrays


def _operand(array: np.ndarray) -> Operand:
    return Operand(array.dtype.name, array.shape, dense_strides(array.shape))


def _alone(codelet: Codelet, arrays: Sequence[np.ndarray], turns: int) -> Callable[[], float]:
    alone = Alone(codelet, turns)
    for place, array in zip(alone.arrays, arrays, strict=True):
        place[...] = array.reshape(-1)
    alone.seconds()
    return alone.seconds


def _scipy(x: np.ndarray, thin: np.ndarray) -> dict[str, Callable[[], Any]]:
    from scipy import sparse

    turned, columns = thin.T.copy(), x.T.copy()
    kinds = {
        "SciPy by rows": sparse.csr_matrix(turned),
        "SciPy in blocks": sparse.bsr_matrix(turned, blocksize=(LANES, TALL)),
    }
    return {name: partial(matrix.__matmul__, columns) for name, matrix in kinds.items()}


def _row(rows: int, size: int, density: float, measured: Rounds) -> Row:
    ratio = measured.ratio("dense", f"{density}")
    peer = measured.best([name for name in measured.seconds if name.endswith(f" {density}")])
    return Row(
        "blocks",
        f"{rows} × {size} × {size}, {density:g} left",
        measured.median(f"{density}") * 1e6,
        "µs",
        measured.median("dense") * 1e6,
        "dense",
        *ratio,
        bar=BARS.get((rows, density)),
        gflops=measured.gflops,
        notes=f"{peer.rpartition(' ')[0]} {measured.median(peer) * 1e6:.0f} µs",
    )


def thinned(model: Any, density: float) -> Any:
    """A `sequence.Model` whose cells' matrices have lost all but a share of their blocks."""
    import jax

    from tilewright.sequence import Model

    seeds = count()
    cells = jax.tree.map(
        lambda a: pruned(a, density, next(seeds)) if a.ndim == 2 else a, model.weights.layers
    )
    return Model(model.net, model.weights._replace(layers=cells))


def run_net(rounds: int) -> list[Row]:
    """The talk's net: windows, alone and 64 at a time, and ticks."""
    model = precision.drawn()
    runs = dict(_runs(model, "dense"))
    for density in DENSITIES:
        runs |= _runs(thinned(model, density), f"{density}")
    measured = compare(runs, rounds, keep=tuple(runs))
    return [
        _net_row(what, unit, scale, density, measured)
        for what, (unit, scale) in KINDS.items()
        for density in DENSITIES
    ]


def run_step(hidden: int, rounds: int, steps: int = STEPS, batch: int = BATCH) -> list[Row]:
    """A step of training at every density, against one of the dense net."""
    runs = {f"{d}": _step(hidden, steps, batch, d) for d in (1.0, *LEARNED)}
    measured = compare(runs, rounds, keep=tuple(runs))
    return [
        Row(
            "blocks",
            f"a training step, {hidden} units, {batch} × {steps}, {density:g} left",
            measured.median(f"{density}") * 1e3,
            "ms",
            measured.median("1.0") * 1e3,
            "dense",
            *measured.ratio("1.0", f"{density}"),
            gflops=measured.gflops,
        )
        for density in LEARNED
    ]


def _step(hidden: int, steps: int, batch: int, density: float) -> Callable[[], float]:
    """Weights, the optimiser's state, and a batch to the next of both, on one core."""
    import jax
    import optax

    import tilewright
    from tilewright.models import forecaster
    from tilewright.models.recurrent import Layer, Recurrent

    form = forecaster.Forecaster(Recurrent((Layer("lstm", INPUTS, hidden),), reads="every step"))
    weights: Any = forecaster.initial(form, jax.random.key(0))
    optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-3, weight_decay=1e-4))
    random = np.random.default_rng(0)
    kept = random.random((hidden // TALL, 4 * hidden // LANES)) < density
    xs = random.normal(size=(steps, batch, INPUTS)).astype(np.float32)
    ys = random.standard_t(5, (steps, batch, 1)).astype(np.float32)
    begun = ((np.zeros((batch, hidden), np.float32),) * 2,)

    def loss(weights: Any, xs: Any, ys: Any) -> Any:
        ((cell,),) = weights.net.layers
        if density < 1:
            cell = cell._replace(U=tilewright.blocks(cell.U, kept))
        weights = weights._replace(net=weights.net._replace(layers=((cell,),)))
        _, z, _ = forecaster.run(form, weights, begun, xs)
        return forecaster.loss(form, weights, z, ys).mean()

    def step(weights: Any, state: Any, xs: Any, ys: Any) -> Any:
        updates, state = optimiser.update(jax.grad(loss)(weights, xs, ys), state, weights)
        return optax.apply_updates(weights, updates), state

    arguments = weights, optimiser.init(weights), xs, ys
    return timed(partial(tilewright.compile(step, *arguments, tiles=1), *arguments))


KINDS = {"batch 1": ("ms", 1e3), "batch 64": ("ms", 1e3), "a tick": ("µs", 1e6)}


def _runs(model: Any, name: str) -> Mapping[str, Callable[[], float]]:
    runs = {}
    for batch in (1, 64):
        window = model.window(batch, precision.STEPS, tiles=1)
        runs[f"batch {batch} {name}"] = timed(partial(window, precision.windows(batch)))
    stream, xs = model.stream(tiles=1), precision.windows(1)[0, :TICKS, None]
    return runs | {f"a tick {name}": partial(_ticks, stream, xs)}


def _ticks(stream: Any, xs: np.ndarray) -> float:
    """Median seconds of a tick, preparation and answer."""
    found = []
    for x in xs:
        start = time.perf_counter()
        stream.prepare()
        stream.answer(x)
        found.append(time.perf_counter() - start)
    return float(np.median(found))


def _net_row(what: str, unit: str, scale: float, density: float, measured: Rounds) -> Row:
    return Row(
        "blocks",
        f"talk's net, {what}, {density:g} left",
        measured.median(f"{what} {density}") * scale,
        unit,
        measured.median(f"{what} dense") * scale,
        "dense",
        *measured.ratio(f"{what} dense", f"{what} {density}"),
        gflops=measured.gflops,
    )
