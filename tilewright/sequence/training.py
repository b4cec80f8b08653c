"""Training as one program: batches are gathered, and a fit stops itself when it learns no more.

In: a `Recipe` (what is compiled) and, as arrays, data, pieces, `Hyper` and a `Fit` under way. Out:
the `Fit` some epochs later. Plain JAX and optax: fits are independent of each other, so that any
number of them are a `tile_map`, each whole on one core.

What is learned depends on key, data and settings alone: neither on padding, nor on how many epochs
a call is asked for, nor on the fits beside it. The order of an epoch's pieces is that of random
bits of (key, epoch), one for each piece.

A state is carried from turn to turn of a piece, and its gradient is not: back-propagation through
time is cut there (Williams & Peng 1990). Pieces of one turn are read by themselves.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tilewright.frozen import frozen
from tilewright.models import forecaster, recurrent
from tilewright.models.forecaster import Forecaster, Parameters
from tilewright.sequence import pruning
from tilewright.sequence.pieces import Table

Array = Any
MOST_RETREATS = 3
"""Times that a fit goes back to its last good state, with half the rate, before it has failed."""


@frozen
class Recipe:
    """`steps` rows a turn; `epochs` is how many the history has room for.

    `optimiser` is any transformation of optax's; None for AdamW behind a clipped gradient, whose
    settings are those of `Hyper`. `tall` is how many rows the blocks have that weights are pruned
    to (see `pruning.py`); 0: they are not.
    """

    form: Forecaster
    batch: int
    steps: int
    epochs: int
    optimiser: Any = None
    tall: int = 0


class Hyper(NamedTuple):
    """Numbers that may differ from fit to fit without a compilation."""

    rate: Array  # () of AdamW
    decay: Array  # () of AdamW
    clip: Array  # () most of the gradient's norm
    average: Array  # () share that averaged weights keep a step; 0 for none
    patience: Array  # () epochs without a better score on later data
    epochs: Array  # () at most
    steps: Array  # () at most
    density: Array = np.float32(1)  # () share of blocks that are left in the end
    ramp: Array = np.float32(1)  # () epochs until then


class Rows(NamedTuple):
    """All rows of all sequences."""

    x: Array  # (rows, inputs)
    y: Array  # (rows, targets) NaN where it is not known
    weight: Array  # (rows, 1) of its loss


class Fit(NamedTuple):
    """A fit under way. Scores are mean losses a target; NaN in epochs that have not been."""

    now: Parameters
    mean: Parameters  # averaged over steps
    best: Parameters  # averaged, with the best score on later data; the newest without such data
    optimiser: Any
    best_score: Array  # ()
    best_step: Array  # ()
    wait: Array  # () epochs since
    epoch: Array  # ()
    step: Array  # ()
    factor: Array  # () of the rate
    retreats: Array  # ()
    scores: Array  # (epochs, 2) while learning, and on later data
    over: Array  # ()


def start(recipe: Recipe, hyper: Hyper, key: Array) -> Fit:
    """Before the first step."""
    parameters = forecaster.initial(recipe.form, jax.random.split(key)[0])
    zero = jnp.zeros((), jnp.int32)
    return Fit(
        parameters,
        parameters,
        parameters,
        _optimiser(recipe, hyper).init(parameters),
        best_score=jnp.asarray(jnp.inf),
        best_step=zero,
        wait=zero,
        epoch=zero,
        step=zero,
        factor=jnp.ones(()),
        retreats=zero,
        scores=jnp.full((recipe.epochs, 2), jnp.nan),
        over=jnp.zeros((), bool),
    )


def advance(
    recipe: Recipe,
    key: Array,
    hyper: Hyper,
    rows: Rows,
    learned: Table,
    later: Table,
    fit: Fit,
    epochs: Array,
) -> Fit:
    """So many epochs more, or until the fit is over."""
    until = fit.epoch + epochs
    orders = jax.random.split(key)[1]

    def going(fit: Fit) -> Array:
        return ~fit.over & (fit.epoch < until)

    def turn(fit: Fit) -> Fit:
        order = _order(jax.random.fold_in(orders, fit.epoch), learned)
        fit = _thinned(recipe, hyper, fit)
        new, score = _epoch(recipe, hyper, rows, learned, order, fit)
        judged = score_of(recipe, new.mean, rows, later)
        thinner = recipe.tall > 0 and new.epoch <= hyper.ramp
        return _judged(hyper, fit, new, score, judged, later.count > 0, thinner)

    return jax.lax.while_loop(going, turn, fit)


def _thinned(recipe: Recipe, hyper: Hyper, fit: Fit) -> Fit:
    """Before an epoch: with the least blocks gone, of averaged weights the same ones."""
    if not recipe.tall:
        return fit
    share = pruning.left(hyper.density, hyper.ramp, fit.epoch)
    now = pruning.pruned(fit.now, recipe.tall, share)
    return fit._replace(now=now, mean=pruning.kept(fit.mean, now, recipe.tall))


def score_of(recipe: Recipe, parameters: Parameters, rows: Rows, table: Table) -> Array:
    """Mean loss a target over the pieces of a table; NaN if they count none."""

    def turn(k: Array, carry: Any) -> Any:
        state, total, count = carry
        x, y, weight = _read(recipe, rows, table, jnp.arange(len(table.first)), k, table.turns)
        state, z, _ = forecaster.run(recipe.form, parameters, _fresh(state, k, table.turns), x)
        lost = _lost(recipe.form, parameters, z, y, weight)
        return state, total + lost, count + jnp.sum(weight)

    zeros = _zero_state(recipe), jnp.zeros(()), jnp.zeros(())
    _, total, count = jax.lax.fori_loop(0, _turns(recipe, table), turn, zeros)
    return total / count


def answers(
    recipe: Recipe, parameters: Parameters, x: Array, table: Table, hidden: bool = False
) -> Array:
    """z, or what the last layer says, of each row that the pieces answer: (rows, width or hidden).

    Zero for other rows.
    """
    size = recipe.form.net.layers[-1].outputs if hidden else recipe.form.width
    order = jnp.arange(len(table.first))

    def turn(k: Array, carry: Any) -> Any:
        state, found = carry
        row, inside, spoken = _places(recipe, table, order, k, table.turns)
        seen = jnp.where(inside[..., None], x[row], 0)
        old = _fresh(state, k, table.turns)
        state, z, h = forecaster.run(recipe.form, parameters, old, seen)
        nowhere = x.shape[0]
        said = found.at[jnp.where(spoken, row, nowhere)].set(h if hidden else z, mode="drop")
        return state, said

    zeros = _zero_state(recipe), jnp.zeros((x.shape[0], size))
    return jax.lax.fori_loop(0, _turns(recipe, table), turn, zeros)[1]


def _epoch(
    recipe: Recipe, hyper: Hyper, rows: Rows, table: Table, order: Array, fit: Fit
) -> tuple[Fit, Array]:
    """All pieces once, as far as there are steps left; the score while learning."""
    turns = _turns(recipe, table)

    def going(carry: Any) -> Array:  # a turn of which nothing is known is no step
        k, fit = carry[:2]
        return (k < turns) & (fit.step < hyper.steps)

    def turn(carry: Any) -> Any:
        k, fit, state, total, count = carry
        x, y, weight = _read(recipe, rows, table, order, k, table.turns)
        old = _fresh(state, k, table.turns)
        fit, state, lost = _step(recipe, hyper, fit, old, x, y, weight)
        return k + 1, fit, state, total + lost, count + jnp.sum(weight)

    zeros = jnp.zeros((), jnp.int32), fit, _zero_state(recipe), jnp.zeros(()), jnp.zeros(())
    _, fit, _, total, count = jax.lax.while_loop(going, turn, zeros)
    return fit._replace(epoch=fit.epoch + 1), total / count


def _step(
    recipe: Recipe, hyper: Hyper, fit: Fit, state: Any, x: Array, y: Array, weight: Array
) -> tuple[Fit, Any, Array]:
    """One step down the mean loss of what is known of a batch; none if nothing is."""
    count = jnp.sum(weight)

    def mean_loss(parameters: Parameters) -> tuple[Array, Any]:
        after, z, _ = forecaster.run(recipe.form, parameters, state, x)
        lost = _lost(recipe.form, parameters, z, y, weight)
        return lost / jnp.where(count > 0, count, 1), (after, lost)

    gradient, (after, lost) = jax.grad(mean_loss, has_aux=True)(fit.now)
    updates, optimiser = _optimiser(recipe, hyper).update(gradient, fit.optimiser, fit.now)
    updates = jax.tree.map(lambda update: fit.factor * update, updates)
    if recipe.tall:  # what is gone stays gone
        updates = pruning.kept(updates, fit.now, recipe.tall)  # pyright: ignore[reportArgumentType]
    now: Any = optax.apply_updates(fit.now, updates)  # pyright: ignore[reportArgumentType]
    # Early averages are short: the first steps are soon forgotten.
    keep = jnp.minimum(hyper.average, (1 + fit.step) / (10 + fit.step))
    mean = jax.tree.map(lambda old, new: keep * old + (1 - keep) * new, fit.mean, now)
    new = fit._replace(now=now, mean=mean, optimiser=optimiser, step=fit.step + 1)
    return _chosen(count > 0, new, fit), jax.lax.stop_gradient(after), lost


def _judged(
    hyper: Hyper,
    old: Fit,
    new: Fit,
    score: Array,
    judged: Array,
    is_judged: Array,
    thinner: Array | bool,
) -> Fit:
    """After an epoch: the best so far, how long ago, and whether the fit is over.

    A loss that is not finite, or a last step to what is not, is undone with the whole epoch. Such
    an epoch tries nobody's patience, and is not the last: what it would have learned is learned
    at half the rate.
    While weights are still being pruned the newest are the best: earlier ones have more blocks.
    """
    sound = jnp.isfinite(score) & (jnp.isfinite(judged) | ~is_judged) & _finite(new.now)
    back = old._replace(
        factor=old.factor / 2,
        retreats=old.retreats + 1,
        epoch=new.epoch,
        best_score=jnp.where(thinner, jnp.inf, old.best_score),
    )
    new = _chosen(sound, new, back)
    better = sound & (~is_judged | (judged < old.best_score) | thinner)
    best = _chosen(better, new.mean, old.best)
    wait = jnp.where(better, 0, old.wait + sound)
    over = (
        (sound & (new.epoch >= hyper.epochs))
        | (new.step >= hyper.steps)
        | (is_judged & (wait >= hyper.patience))
        | (new.retreats > MOST_RETREATS)
    )
    return new._replace(
        best=best,
        best_score=jnp.where(better, judged, new.best_score),
        best_step=jnp.where(better, new.step, old.best_step),
        wait=wait,
        scores=old.scores.at[old.epoch].set(jnp.stack([score, judged])),
        over=over,
    )


def _lost(form: Forecaster, parameters: Parameters, z: Array, y: Array, weight: Array) -> Array:
    """Weighted sum of the losses of what is known, that is, of what weighs anything."""
    each = forecaster.loss(form, parameters, z, y)
    return jnp.sum(jnp.where(weight > 0, weight * each, 0))


def _read(
    recipe: Recipe, rows: Rows, table: Table, order: Array, k: Array, turns: Array
) -> tuple[Array, Array, Array]:
    """Turn k: x (steps, batch, inputs), y (steps, batch, targets) and how much of it counts."""
    row, inside, spoken = _places(recipe, table, order, k, turns)
    y = rows.y[row]
    known = spoken[..., None] & ~jnp.isnan(y)
    weight = jnp.where(known, rows.weight[row], 0)
    return jnp.where(inside[..., None], rows.x[row], 0), jnp.where(known, y, 0), weight


def _places(
    recipe: Recipe, table: Table, order: Array, k: Array, turns: Array
) -> tuple[Array, Array, Array]:
    """Rows of turn k (steps, batch), which of them are in a piece, and which of those count."""
    start = k // turns * recipe.batch
    pieces = jax.lax.dynamic_slice(order, (start,), (recipe.batch,))
    at = k % turns * recipe.steps + jnp.arange(recipe.steps)[:, None]
    inside = at < table.length[pieces]
    row = jnp.where(inside, table.first[pieces] + at, 0)
    return row, inside, inside & (at >= table.silent[pieces])


def _order(key: Array, table: Table) -> Array:
    """Pieces in random order, those that are padding last."""
    places = jnp.arange(len(table.first))
    bits = jax.random.bits(key, (len(table.first),), jnp.uint32)
    return jnp.lexsort((bits, places >= table.count))


def _turns(recipe: Recipe, table: Table) -> Array:
    """Of all batches."""
    return -(-table.count // recipe.batch) * table.turns


def _fresh(state: Any, k: Array, turns: Array) -> Any:
    """Zero where pieces begin."""
    return jax.tree.map(lambda leaf: jnp.where(k % turns == 0, 0, leaf), state)


def _zero_state(recipe: Recipe) -> Any:
    return recurrent.zero_state(recipe.form.net, (recipe.batch,))


def _optimiser(recipe: Recipe, hyper: Hyper) -> Any:
    if recipe.optimiser is not None:
        return recipe.optimiser
    return optax.chain(
        optax.clip_by_global_norm(hyper.clip),
        optax.scale_by_adam(),
        optax.add_decayed_weights(hyper.decay),
        optax.scale(-hyper.rate),
    )


def _finite(parameters: Parameters) -> Array:
    """() Whether all of them are."""
    each = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(parameters)]
    return jnp.all(jnp.stack(each))


def _chosen(which: Array, new: Any, old: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(which, a, b), new, old)
