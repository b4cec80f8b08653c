"""What a fit learns depends on key, data and settings alone, and is what plain JAX learns."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import tilewright
from tests.agree import TILES, on_tiles
from tilewright.models import forecaster, recurrent
from tilewright.models.forecaster import Forecaster
from tilewright.models.recurrent import Layer, Recurrent
from tilewright.sequence import fitting, pieces, training
from tilewright.sequence.fitting import Task
from tilewright.sequence.training import Hyper, Recipe, Rows

RANDOM = np.random.default_rng(0)
FORM = Forecaster(Recurrent((Layer("lstm", 3, 6),), reads="every step"))
SEQUENCES, LONG = 6, 20
BEGIN = np.arange(SEQUENCES) * LONG
X = RANDOM.normal(size=(SEQUENCES * LONG, 3)).astype(np.float32)
Y = (X[:, :1] + 0.3 * RANDOM.standard_t(5, (len(X), 1))).astype(np.float32)
Y[7] = np.nan
ONES = np.ones((len(X), 1), np.float32)
HYPER = Hyper(
    rate=np.float32(0.01),
    decay=np.float32(1e-3),
    clip=np.float32(1),
    average=np.float32(0.9),
    patience=np.int32(50),
    epochs=np.int32(4),
    steps=np.int32(10**6),
)
KEYS = jax.vmap(jax.random.key)(np.arange(3))


def task(keys=KEYS, cut_at=15, back=5, warm=2, hyper=HYPER, rows=Rows(X, Y, ONES)):
    learned = pieces.cut(BEGIN, BEGIN + cut_at, BEGIN, back, warm)
    later = pieces.cut(BEGIN, BEGIN + LONG, BEGIN + cut_at, back, warm)
    return Task(keys, hyper, rows, learned, later)


def recipe(batch=4, steps=7, optimiser=None):
    return Recipe(FORM, batch, steps, 8, optimiser)


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.fixture(scope="module")
def three():
    return fitting.fitted(recipe(), task(), "native")


def test_they_learn(three):
    assert (three.epoch == 4).all()
    assert three.over.all()
    assert (three.best_score < three.scores[:, 0, 1]).all()
    assert np.isfinite(three.scores[:, :4]).all()
    assert np.isnan(three.scores[:, 4:]).all()
    assert not np.array_equal(three.now.skip[0], three.now.skip[1])


def test_alone_or_among_others(three):
    alone = fitting.fitted(recipe(), task(KEYS[1:2]), "native")
    same(alone, jax.tree.map(lambda a: a[1:2], three))


@pytest.mark.parametrize("fits", [1, 3])
def test_tiles_decide_no_bit(fits, monkeypatch):
    """One fit is spread over them, of several each has one."""
    form = Forecaster(Recurrent((Layer("lstm", 3, 96),), reads="every step"))
    wide = Recipe(form, 64, 4, 8)
    begin = np.arange(128) * 5
    x = np.random.default_rng(1).normal(size=(128 * 5, 3)).astype(np.float32)
    rows = Rows(x, x[:, :1] ** 2, np.ones((len(x), 1), np.float32))
    hyper = HYPER._replace(epochs=np.int32(2))
    learned, later = (pieces.cut(begin, begin + b, begin + a, 4, 0) for a, b in ((0, 4), (4, 5)))
    one = Task(KEYS[:fits], hyper, rows, learned, later)
    found = []
    for tiles in TILES:
        workers = []

        def on_so_many(fn, *args, machine, tiles=tiles, workers=workers):
            program = on_tiles(tiles, fn, *args)
            workers.append(program.workers)
            return program

        fitting._compiled.cache_clear()
        monkeypatch.setattr(fitting, "compile", on_so_many)
        found.append(fitting.fitted(wide, one, "native"))
        assert workers[-1] == tiles
    fitting._compiled.cache_clear()
    for other in found[1:]:
        same(other, found[0])


def test_padding_and_calls_change_nothing(three, monkeypatch):
    monkeypatch.setattr(fitting, "LEAST_ROWS", 256)
    monkeypatch.setattr(fitting, "CALL", 1e-9)  # an epoch a call
    same(fitting.fitted(recipe(), task(), "native"), three)


def test_what_is_not_read_does_not_matter(three):
    """Rows of later data are seen by scores alone; unknown targets and padding by nobody."""
    x, y = X.copy(), Y.copy()
    after = np.arange(len(X)) % LONG >= 15
    x[after], y[after] = 7.0, -3.0
    moved = fitting.fitted(recipe(), task(rows=Rows(x, y, ONES)), "native")
    same(moved.now, three.now)
    assert not np.array_equal(moved.best_score, three.best_score)


def test_jax_learns_the_same(three):
    """A loop in Python over the same pieces, in the order of the same bits."""
    table, key = task().learned, KEYS[0]
    start, orders = jax.random.split(key)
    parameters = forecaster.initial(FORM, start)
    tx = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(0.01, weight_decay=1e-3))
    state = tx.init(parameters)  # pyright: ignore[reportArgumentType]

    @jax.jit
    def step(parameters, state, x, y, known):
        def loss(parameters):
            zeros = recurrent.zero_state(FORM.net, (len(x),))
            z = forecaster.run(FORM, parameters, zeros, jnp.swapaxes(x, 0, 1))[1]
            z = jnp.swapaxes(z, 0, 1)
            each = forecaster.loss(FORM, parameters, z, y)
            return jnp.where(known, each, 0).sum() / known.sum()

        updates, state = tx.update(jax.grad(loss)(parameters), state, parameters)
        return optax.apply_updates(parameters, updates), state

    for epoch in range(4):
        bits = jax.random.bits(jax.random.fold_in(orders, epoch), (256,), jnp.uint32)
        order = np.argsort(np.asarray(bits)[: int(table.count)], kind="stable")
        for ids in np.split(order, range(4, len(order), 4)):
            x, y = np.zeros((4, 7, 3), np.float32), np.zeros((4, 7, 1), np.float32)
            known = np.zeros((4, 7, 1), bool)
            for lane, i in enumerate(ids):
                first, length, silent = (int(c[i]) for c in table[:3])
                x[lane, :length] = X[first : first + length]
                seen = Y[first + silent : first + length]
                known[lane, silent:length] = np.isfinite(seen)
                y[lane, silent:length] = np.nan_to_num(seen)
            parameters, state = step(parameters, state, x, y, known)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a[0], b, rtol=1e-3, atol=1e-4),
        three.now,
        parameters,
    )


def test_a_piece_as_long_as_its_sequence_is_whole_back_propagation():
    """Carried or not, in one turn or with rows to spare: equal bits."""
    none = pieces.cut(BEGIN, BEGIN, BEGIN, LONG, 0)
    cut = Task(
        KEYS[:1], HYPER, Rows(X, Y, ONES), pieces.cut(BEGIN, BEGIN + LONG, BEGIN, LONG, 0), none
    )
    whole = cut._replace(learned=pieces.whole(BEGIN, BEGIN + LONG, BEGIN, LONG))
    one = fitting.fitted(recipe(steps=LONG), cut, "native")
    same(fitting.fitted(recipe(steps=LONG), whole, "native"), one)
    assert np.isnan(one.best_score).all()
    assert (one.epoch == 4).all()
    carried = fitting.fitted(
        recipe(steps=8), cut._replace(learned=pieces.whole(BEGIN, BEGIN + LONG, BEGIN, 8)), "native"
    )
    assert int(carried.step[0]) == 3 * int(one.step[0])


def test_steps_can_be_counted():
    hyper = HYPER._replace(steps=np.int32(7))
    fit = fitting.fitted(recipe(), task(KEYS[:1], hyper=hyper), "native")
    assert fit.step == 7
    assert fit.over.all()


def test_a_loss_that_is_not_finite_is_retreated_from():
    """The fit keeps what it had, halves the rate three times, and then has failed."""
    broken = recipe(optimiser=optax.scale(float("nan")))
    hyper = HYPER._replace(epochs=np.int32(8))
    fit = fitting.fitted(broken, task(KEYS[:1], hyper=hyper), "native")
    assert fit.retreats == training.MOST_RETREATS + 1
    assert fit.factor == 2.0**-fit.retreats
    start = training.start(broken, hyper, KEYS[0])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[0], b, rtol=1e-6), fit.best, start.best)


@pytest.mark.parametrize("epochs, patience", [(1, 50), (2, 50), (8, 1)])
def test_an_undone_epoch_is_neither_the_last_nor_one_without_progress(epochs, patience):
    """Else a net that has learned nothing is what a fit of few epochs ends with, and no failure."""
    hyper = HYPER._replace(epochs=np.int32(epochs), patience=np.int32(patience))
    broken = recipe(optimiser=optax.scale(float("nan")))
    fit = fitting.fitted(broken, task(KEYS[:1], hyper=hyper), "native")
    assert fit.retreats == training.MOST_RETREATS + 1
    assert (fit.best_step, fit.wait) == (0, 0)


def test_after_an_undone_epoch_of_pruning_the_next_is_the_best():
    """Earlier weights have more blocks, however well they do."""
    old = training.start(recipe(), HYPER, KEYS[0])._replace(best_score=jnp.asarray(0.5))
    turned = old._replace(epoch=old.epoch + 1, step=old.step + 3)
    nan, true = jnp.asarray(jnp.nan), jnp.asarray(True)
    undone = training._judged(HYPER, old, turned, nan, nan, true, True)
    assert np.isinf(undone.best_score)
    later = undone._replace(epoch=undone.epoch + 1, step=undone.step + 3)
    sound = training._judged(HYPER, undone, later, jnp.ones(()), jnp.ones(()), true, False)
    assert (sound.best_score, sound.best_step, sound.retreats) == (1.0, 3, 1)


def test_turns_of_which_nothing_is_known_are_no_steps():
    """Fits of so many steps end there, also where an epoch begins with such turns."""
    y = Y.copy()
    y[np.arange(len(Y)) % LONG < 10] = np.nan
    hyper = HYPER._replace(steps=np.int32(9), epochs=np.int32(50))
    learned = pieces.whole(BEGIN, BEGIN + LONG, BEGIN, 5)
    none = pieces.whole(BEGIN, BEGIN, BEGIN, 5)
    only = Task(KEYS[:1], hyper, Rows(X, y, ONES), learned, none)
    fit = fitting.fitted(recipe(steps=5), only, "native")
    assert (fit.step, fit.best_step, fit.retreats) == (9, 9, 0)


def test_a_last_step_that_is_not_finite_is_undone_at_half_the_rate():
    """No later data would have seen it: the loss of an epoch is that before each of its steps."""

    def step(updates, state, params=None):
        now, begun = (jax.tree.leaves(tree)[0] for tree in (params, state))
        moved = jnp.abs(now - begun).max()
        move = jnp.where(moved > 0.035, jnp.nan, 0.01)  # the fifth, after four of 0.01
        return jax.tree.map(lambda leaf: jnp.full_like(leaf, move), updates), state

    walking = optax.GradientTransformation(lambda params: params, step)  # pyright: ignore
    only = task(KEYS[:1], hyper=HYPER._replace(epochs=np.int32(2)))
    assert -(-int(only.learned.count) // 4) == 5
    only = only._replace(later=pieces.cut(BEGIN, BEGIN, BEGIN, 5, 2))
    fit = fitting.fitted(recipe(optimiser=walking), only, "native")
    assert (fit.retreats, fit.factor, fit.step) == (1, 0.5, 5)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((fit.now, fit.best)))
    start = training.start(recipe(optimiser=walking), only.hyper, KEYS[0])
    for after, before in zip(*map(jax.tree.leaves, (fit.now, start.now)), strict=True):
        np.testing.assert_allclose(after[0] - before, 0.025, rtol=1e-5)


def test_answers_are_those_of_whole_sequences():
    """In turns or at once, however many beside them: equal bits; nothing later is read."""
    parameters = forecaster.initial(FORM, jax.random.key(3))
    parameters = parameters._replace(
        out=parameters.out._replace(W=jnp.asarray(RANDOM.normal(size=(6, 2)), jnp.float32))
    )
    stacked = jax.tree.map(lambda a: np.asarray(a)[None], parameters)
    end = BEGIN + np.array([20, 3, 20, 1, 17, 20])

    def said(x, begin, end, batch, steps):
        table = pieces.whole(begin, end, begin, steps)
        return fitting.answered(recipe(batch, steps), stacked, x, table, "native")[0]

    whole = said(X, BEGIN, end, 4, LONG)
    same(said(X, BEGIN, end, 2, 8), whole)
    same(said(X, BEGIN[2:3], end[2:3], 1, 8)[40:60], whole[40:60])
    moved = X.copy()
    moved[50:60] = 9
    found = said(moved, BEGIN, end, 4, LONG)
    same(found[:50], whole[:50])
    assert (found[50:60] != whole[50:60]).all()
    zeros = recurrent.zero_state(FORM.net, (1,))
    wanted = tilewright.compile(partial(forecaster.run, FORM), parameters, zeros, X[40:60, None])(
        parameters, zeros, X[40:60, None]
    )[1]
    np.testing.assert_allclose(whole[40:60], wanted[:, 0], rtol=1e-5, atol=1e-6)
    assert not whole[23:40].any()
