"""Nets pruned to blocks while they learn: what is left, what goes, and what stays the same."""

import json
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.base import clone

from tests.graph.test_blocks import skips
from tilewright.alpha.tables import sp500
from tilewright.errors import ArgumentError
from tilewright.models import forecaster
from tilewright.models.recurrent import Layer, Recurrent
from tilewright.sequence import LSTMRegressor, pruning
from tilewright.sequence.checkpoint import Checkpoint
from tilewright.sequence.densities import Row, Study, _lead, said, study, thinnest, write
from tilewright.sequence.together import fit_together

FORM = forecaster.Forecaster(
    Recurrent((Layer("lstm", 5, 24), Layer("gru", 24, 20)), reads="every step")
)
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(200, 8, 16)).astype(np.float32)
Y = np.tanh(X[:, -2:, :4].sum((1, 2))) + 0.1 * RANDOM.normal(size=200)
SMALL: Any = dict(hidden=32, epochs=6, batch_size=32, random_state=1)


@cache
def nets(seed: int = 0) -> forecaster.Parameters:
    return forecaster.initial(FORM, jax.random.key(seed))


def one(model: LSTMRegressor, seed: int = 0) -> forecaster.Parameters:
    return jax.tree.map(lambda a: a[seed], model.nets_)


@pytest.mark.parametrize("tall", [4, 16])
def test_the_largest_blocks_are_left(tall):
    before, share, prune = nets(), 0.3, jax.jit(pruning.pruned, static_argnums=1)
    after = prune(before, tall, jnp.float32(share))
    assert pruning.density(before, tall) == 1
    for old, new in zip(jax.tree.leaves(before.net), jax.tree.leaves(after.net), strict=True):
        if old.ndim < 2 or len(old) < 16:  # biases, and a matrix of few inputs
            np.testing.assert_array_equal(old, new)
            continue
        sizes = (pruning._in_blocks(np.asarray(old), tall, np) ** 2).sum((1, 3))
        left = (pruning._in_blocks(np.asarray(new), tall, np) != 0).any((1, 3))
        assert left.sum() == sizes.size - np.floor(np.float32(1 - share) * sizes.size)
        assert sizes[left].min() > sizes[~left].max()
        kept = np.asarray(new) != 0
        np.testing.assert_array_equal(np.asarray(new)[kept], np.asarray(old)[kept])
    again = prune(after, tall, jnp.float32(share))
    assert jax.tree.all(jax.tree.map(np.array_equal, after, again))
    ones = jax.tree.map(lambda a: np.ones(a.shape, np.float32), after)
    moved = jax.jit(pruning.kept, static_argnums=2)(ones, after, tall)
    assert pruning.density(moved, tall) == pruning.density(after, tall)


def test_the_schedule_falls_to_what_is_asked_for():
    shares = [float(pruning.left(0.2, 10.0, e)) for e in range(14)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == pytest.approx(0.2 + 0.8 * 0.9**3)
    assert shares[9:] == [pytest.approx(0.2)] * 5


@pytest.mark.parametrize("refit", [None, "steps"])
def test_a_fit_ends_at_its_density_and_its_stream_skips(refit):
    model = LSTMRegressor(density=0.25, prune_epochs=4, seeds=2, refit=refit, **SMALL).fit(X, Y)
    for seed in range(2):
        assert pruning.density(one(model, seed), 4) == pytest.approx(0.25, abs=0.01)
    stream = model.to_stream()
    assert skips(stream.program) == 2  # that of the state; the inputs' is too small
    for x in X[0]:
        answer = stream.answer(x[None])  # (streams, nets, targets, location and scale)
    np.testing.assert_allclose(answer[0, :, 0, 0].mean(), model.predict(X[:1])[0], 1e-4)


def test_nets_are_judged_at_their_density_alone():
    """However much worse a thin net is than those before it, it is the one that is taken."""
    model = LSTMRegressor(density=0.02, prune_epochs=5, patience=1, **SMALL).fit(X, Y)
    assert pruning.density(one(model), 4) < 0.05
    assert model.scores_.shape[1] >= 5


def test_alone_and_among_others():
    thin = [LSTMRegressor(density=d, prune_epochs=3, **SMALL) for d in (0.5, 0.2)]
    fit_together(thin, [(X, Y)] * 2)
    alone = LSTMRegressor(density=0.2, prune_epochs=3, **SMALL).fit(X, Y)
    assert jax.tree.all(jax.tree.map(np.array_equal, thin[1].nets_, alone.nets_))


def test_a_fit_that_was_killed_ends_with_the_same_bits(tmp_path, monkeypatch):
    whole = LSTMRegressor(density=0.3, prune_epochs=4, **SMALL).fit(X, Y)
    path = tmp_path / "fit"
    monkeypatch.setattr("tilewright.sequence.fitting.CALL", 0.0)  # an epoch a call
    kept = clone(whole).set_params(checkpoint=path, checkpoint_seconds=1e-9)

    class KilledError(Exception):
        pass

    real, calls = Checkpoint.write, []

    def write(self, fit):
        real(self, fit)
        calls.append(fit)
        if len(calls) == 3:
            raise KilledError

    monkeypatch.setattr(Checkpoint, "write", write)
    with pytest.raises(KilledError):
        kept.fit(X, Y)
    monkeypatch.setattr(Checkpoint, "write", real)
    kept.fit(X, Y)
    assert jax.tree.all(jax.tree.map(np.array_equal, kept.nets_, whole.nets_))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"density": 0}, "density must be above 0"),
        ({"density": 1.5}, "density must be"),
        ({"block_rows": 3}, "block_rows must be one of"),
        ({"density": 0.5, "prune_epochs": 50, "epochs": 20}, "at most epochs=20, not 50"),
    ],
)
def test_settings_are_refused(settings, message):
    with pytest.raises(ArgumentError, match=message):
        LSTMRegressor(**settings).fit(X, Y)


def test_the_verdict_takes_the_thinnest_that_is_as_good():
    days = RANDOM.normal(size=500)
    mean, error = _lead(days)
    assert abs(mean) < 4 * error
    rows = [
        Row(1.0, 1.0, -1.30, (-1.301, -1.303, -1.302), 0.0, 0.0, 40.0),
        Row(0.25, 0.25, -1.3005, (), -0.0005, 0.001, 15.0),
        Row(0.1, 0.1, -1.31, (), -0.01, 0.001, 10.0),
    ]
    assert thinnest(rows) is rows[1]
    assert "25% of the blocks" in said(rows)[1]
    assert "2.7 times as fast" in said(rows)[1]
    assert "No thinner net" in said([rows[0], rows[2]])[1]


@pytest.mark.slow
def test_a_study_of_real_prices(tmp_path):
    """Small nets for a moment: all that the page says is there, and densities are as asked for."""
    settings = Study((1.0, 0.25), 32, seeds=2, epochs=4, prune_epochs=2, earlier=600, later=300)
    prices = sp500()
    rows = study(prices, settings)
    assert [row.density for row in rows] == [1.0, 0.25]
    assert [round(row.left, 2) for row in rows] == [1.0, 0.25]
    assert all(-2 < row.score < -1 and row.tick > 0 for row in rows)
    assert rows[0].lead == 0 < rows[1].error
    page = write(tmp_path / "new", prices.source, settings, rows).read_text()
    assert page.count("<svg") == 2
    assert said(rows)[0][:40] in page
    assert json.loads((tmp_path / "new" / "densities.json").read_text())["rows"][1]["left"] < 0.26
