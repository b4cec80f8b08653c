"""Training of sequence nets beside peers: a step, many fits at once, and what gathering costs.

A step is that of the estimators: pieces gathered by index, 11 inputs, 128 steps x 64, a Student-t
head, gradient, clipping, AdamW, averaged weights. JAX has the very same function; PyTorch has
`nn.LSTM`, its own AdamW and clipping, on batches that lie ready. All are pinned to one core, and
its processor time counts: a process a core. Fits of 5 to 25 epochs are run one after the other on
one core: JAX by `lax.map`, which is what a process a core does, and by `vmap`, in which all wait
for the longest. All tiles against one are timed on the clock, before other processes where the
system grants that: whoever keeps one tile waiting keeps all. A checkpoint's share is its processor
time over the seconds between two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from itertools import islice, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tilewright.bench import talk_step, tiles
from tilewright.bench.apart import pinned
from tilewright.bench.gpu import clocked
from tilewright.bench.level import PRETENDS
from tilewright.bench.record import Row
from tilewright.bench.recurrent import Timed, timed
from tilewright.bench.rounds import Rounds, compare, undisturbed
from tilewright.machine.cpu import cpu_limit

INPUTS, BATCH, STEPS = 11, 64, 128
WIDTHS = (32, 128)
BATCHES = 3
"""In an epoch."""
FITS, EPOCHS = 64, (5, 25)
AGAINST_JAX, AGAINST_TORCH, AGAINST_VMAP = 2.0, 1.5, 6.0
EVERY, CHECKPOINTS = 30.0, 0.01
"""Seconds between two checkpoints of a fit, and most of its time that they may take."""
LOADER = 0.03
"""Most of an epoch that gathering its batches may take."""


def cases(quick: bool) -> Iterable[tuple[str, Any]]:
    rounds = 3 if quick else 15
    for hidden in WIDTHS[:1] if quick else WIDTHS:
        yield f"a step of {hidden} units", partial(pinned, run_step, hidden, rounds)
    if not quick:
        yield "a step of the talk's net", partial(pinned, talk_step.run, rounds)
    yield "fits of many lengths", partial(pinned, run_fits, 3, 8 if quick else FITS)
    yield "fits on all tiles", partial(run_tiles, 2 if quick else 9, 8 if quick else FITS)
    yield "a checkpoint", partial(run_checkpoint, 8 if quick else FITS)
    yield "a grid", partial(run_grid, 12 if quick else 100)


def run_step(hidden: int, rounds: int, steps: int = STEPS, batch: int = BATCH) -> list[Row]:
    """A row against JAX, one against PyTorch where it is installed, and the loader's share."""
    import tilewright

    fit, gather, arguments = _epoch(hidden, steps, batch)
    mine = tilewright.compile(fit, *arguments, tiles=1)
    loader = tilewright.compile(gather, *arguments[1:4], tiles=1)
    runs: dict[str, Timed] = {
        "tilewright": timed(partial(mine, *arguments)),
        "loader": timed(partial(loader, *arguments[1:4])),
        "JAX": _jax(fit, arguments),
    }
    if find_spec("torch") is not None:
        runs["PyTorch"] = _torch(hidden, steps, batch)
    measured = compare(runs, rounds, keep=tuple(runs))
    name = f"a training step, {hidden} units, {batch} x {steps}"
    rows = [_row(name, measured, "JAX", AGAINST_JAX, 1 / BATCHES)]
    if "PyTorch" in runs:
        bar = None if PRETENDS else AGAINST_TORCH
        rows.append(_row(name, measured, "PyTorch", bar, 1 / BATCHES))
    share, low, high = measured.ratio("loader", "tilewright")
    rows.append(
        Row("learning", f"the loader's share of an epoch, {hidden} units",
            100 * measured.median("loader") / measured.median("tilewright"), "%", None, "", share,
            low, high, LOADER, at_most=True)
    )  # fmt: skip
    return rows


def run_fits(rounds: int, fits: int, hidden: int = 16) -> list[Row]:
    """Fits whose numbers of epochs differ: on one core against JAX, two ways."""
    import jax

    import tilewright
    from tilewright.trace.tile_map import tile_map

    one, keys, epochs = _fits(fits, hidden)
    ours = tilewright.compile(tile_map(one), keys, epochs, tiles=1)
    serial = jax.jit(lambda keys, epochs: jax.lax.map(lambda pair: one(*pair), (keys, epochs)))
    lockstep = jax.jit(jax.vmap(one))
    runs = {
        "tilewright": timed(partial(ours, keys, epochs)),
        "JAX, one after the other": timed(lambda: jax.block_until_ready(serial(keys, epochs))),
        "JAX, vmap": timed(lambda: jax.block_until_ready(lockstep(keys, epochs))),
    }
    measured = compare(runs, rounds, keep=tuple(runs))
    name = f"{fits} fits of {EPOCHS[0]} to {EPOCHS[1]} epochs, one core"
    return [
        _row(name, measured, "JAX, one after the other", AGAINST_JAX, 1.0),
        _row(name, measured, "JAX, vmap", AGAINST_VMAP, 1.0),
    ]


def _fits(fits: int, hidden: int) -> tuple[Callable[[Any, Any], Any], Any, np.ndarray]:
    """A fit of so many epochs, keys, and how many each has."""
    import jax

    from tilewright.sequence import training

    recipe, hyper, rows, table, later = _task(hidden, 32, 32)

    def one(key: Any, epochs: Any) -> Any:
        mine = hyper._replace(epochs=epochs)
        begun = training.start(recipe, mine, key)
        return training.advance(
            recipe, key, mine, rows, table, later, begun, np.int32(EPOCHS[1])
        ).scores

    epochs = np.random.default_rng(3).integers(EPOCHS[0], EPOCHS[1] + 1, fits).astype(np.int32)
    return one, jax.random.split(jax.random.key(0), fits), epochs


def run_tiles(rounds: int, fits: int, hidden: int = 16) -> list[Row]:
    """The same fits on all tiles and on one."""
    import tilewright
    from tilewright.trace.tile_map import tile_map

    one, keys, epochs = _fits(fits, hidden)
    alone, all_ = (
        tilewright.compile(tile_map(one), keys, epochs, tiles=n) for n in (1, cpu_limit())
    )
    runs = {
        "all tiles": undisturbed(clocked(partial(all_, keys, epochs))),
        "one tile": undisturbed(clocked(partial(alone, keys, epochs))),
    }
    measured = compare(runs, rounds, keep=tuple(runs))
    ratio = measured.ratio("one tile", "all tiles")
    name = f"{fits} fits of {EPOCHS[0]} to {EPOCHS[1]} epochs, {cpu_limit()} tiles"
    ours, theirs = (measured.median(who) * 1e3 for who in ("all tiles", "one tile"))
    return [Row("learning", name, ours, "ms", theirs, "one tile", *ratio, tiles.bar())]


def run_checkpoint(fits: int, hidden: int = 128, rounds: int = 5) -> list[Row]:
    """What writing so many fits every `EVERY` seconds takes of their time."""
    import jax

    from tilewright.sequence import training
    from tilewright.sequence.checkpoint import Checkpoint

    recipe, hyper, rows, _, _ = _task(hidden, 32, 32)
    keys = jax.random.split(jax.random.key(0), fits)
    fit = jax.tree.map(np.asarray, jax.vmap(partial(training.start, recipe, hyper))(keys))
    with TemporaryDirectory() as folder:
        file = Checkpoint(Path(folder) / "fit", {}, rows)
        write = timed(partial(file.write, fit))
        shares = [write() / EVERY for _ in range(rounds)]
    share, low, high = np.percentile(shares, [50, 25, 75])
    name = f"checkpoints of {fits} fits of {hidden} units, one in {EVERY:.0f} s"
    return [Row("learning", name, 100 * share, "%", None, "", share, low, high, CHECKPOINTS,
                at_most=True)]  # fmt: skip


def run_grid(points: int) -> list[Row]:
    """Programs compiled for a grid of numbers."""
    from tilewright.sequence import LSTMRegressor, fitting

    X = np.random.default_rng(0).normal(size=(200, 8))
    before = fitting._compiled.cache_info().misses
    grid = product(range(2, 7), (0.0, 1e-4, 1e-3, 1e-2), (1e-3, 2e-3, 3e-3, 5e-3, 1e-2))
    for patience, decay, rate in islice(grid, points):
        LSTMRegressor(
            hidden=4, steps=4, epochs=2, learning_rate=rate, weight_decay=decay, patience=patience
        ).fit(X, X[:, 0])
    made = fitting._compiled.cache_info().misses - before
    return [Row("learning", f"programs for a grid of {points} fits", made, "", bar=1, at_most=True)]


def _row(name: str, measured: Rounds, peer: str, bar: float | None, unit: float) -> Row:
    ratio, low, high = measured.ratio(peer, "tilewright")
    ours, theirs = (measured.median(who) * unit * 1e3 for who in ("tilewright", peer))
    return Row("learning", name, ours, "ms", theirs, peer, ratio, low, high, bar,
               gflops=measured.gflops)  # fmt: skip


def _task(hidden: int, steps: int, batch: int) -> Any:
    """Recipe, settings, rows, pieces to learn from, and none to be stopped by."""
    import jax
    import jax.numpy as jnp

    from tilewright.models.forecaster import STUDENT, Forecaster
    from tilewright.models.recurrent import Layer, Recurrent
    from tilewright.sequence import pieces
    from tilewright.sequence.training import Hyper, Recipe, Rows

    net = Recurrent((Layer("lstm", INPUTS, hidden),), reads="every step")
    recipe = Recipe(Forecaster(net, STUDENT), batch, steps, 64)
    rng = np.random.default_rng(0)
    count = BATCHES * batch * steps
    x = rng.normal(size=(count, INPUTS)).astype(np.float32)
    y = rng.standard_t(5, (count, 1)).astype(np.float32)
    starts = np.arange(BATCHES * batch) * steps
    table = pieces.whole(starts, starts + steps, starts, steps)
    nothing = table._replace(count=np.int32(0), turns=np.int32(0))
    numbers = map(np.float32, (1e-3, 1e-4, 1.0, 0.98))
    hyper = Hyper(*numbers, *map(np.int32, (1000, 1000, 2**31 - 1)))
    rows = Rows(x, y, np.ones((count, 1), np.float32))
    return recipe, hyper, *jax.tree.map(jnp.asarray, (rows, table, nothing))


def _epoch(hidden: int, steps: int, batch: int) -> tuple[Any, Any, tuple[Any, ...]]:
    """One epoch; gathering its batches alone, as the epoch has them; and what both are given."""
    import jax
    import jax.numpy as jnp

    from tilewright.sequence import training

    recipe, hyper, rows, table, later = _task(hidden, steps, batch)
    begun = training.start(recipe, hyper, jax.random.key(0))

    def fit(fit: Any, key: Any, rows: Any, table: Any) -> Any:
        return training.advance(recipe, key, hyper, rows, table, later, fit, np.int32(1))

    def gather(key: Any, rows: Any, table: Any) -> Any:
        read = partial(training._read, recipe, rows, table, training._order(key, table))
        kinds = jax.eval_shape(read, jnp.int32(0), table.turns)
        nothing = jax.tree.map(lambda kind: jnp.zeros(kind.shape, kind.dtype), kinds)
        turns = training._turns(recipe, table)
        return jax.lax.fori_loop(0, turns, lambda k, _: read(k, table.turns), nothing)

    return fit, gather, (begun, jax.random.key(1), rows, table)


def _jax(fit: Any, arguments: Sequence[Any]) -> Timed:
    import jax

    function = jax.jit(fit)
    return timed(lambda: jax.block_until_ready(function(*arguments)))


def _torch(hidden: int, steps: int, batch: int) -> Timed:
    """The same net, loss and optimiser; batches lie ready."""
    torch = import_module("torch")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    _, _, rows, _, _ = _task(hidden, steps, batch)
    xs = torch.from_numpy(np.array(rows.x)).reshape(BATCHES, batch, steps, INPUTS)
    ys = torch.from_numpy(np.array(rows.y)).reshape(BATCHES, batch, steps)
    layer, skip = torch.nn.LSTM(INPUTS, hidden, batch_first=True), torch.nn.Linear(INPUTS, 2)
    out, degrees = torch.nn.Linear(hidden, 2), torch.zeros((), requires_grad=True)
    parameters = [*layer.parameters(), *skip.parameters(), *out.parameters(), degrees]
    mean = [p.detach().clone() for p in parameters]
    optimiser = torch.optim.AdamW(parameters, 1e-3, weight_decay=1e-4)

    def epoch() -> None:
        for x, y in zip(xs, ys, strict=True):
            z = out(layer(x)[0]) + skip(x)
            noise = torch.distributions.StudentT(2 + 6 * degrees.exp(), z[..., 0], z[..., 1].exp())
            loss = -noise.log_prob(y).mean()
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            with torch.no_grad():
                torch._foreach_lerp_(mean, [p.detach() for p in parameters], 0.02)

    return timed(epoch)
