"""The estimator of sequences: scikit-learn's own rules, and laws of training."""

from types import SimpleNamespace

import jax
import numpy as np
import optax
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold
from sklearn.utils.estimator_checks import parametrize_with_checks

from tilewright.errors import ArgumentError
from tilewright.sequence import LSTMRegressor, Panel, fitting
from tilewright.sequence.checkpoint import Checkpoint

TINY = LSTMRegressor(hidden=4, batch_size=32, epochs=60, learning_rate=0.05)


@pytest.mark.filterwarnings("ignore::tilewright.errors.DataWarning")  # some of their data are odd
@parametrize_with_checks([TINY])
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def frame(groups=4, rows=60, seed=0):
    """Groups whose next value is a mixture of what the last two inputs were."""
    rng = np.random.default_rng(seed)
    parts = []
    for group in range(groups):
        count = rows - 7 * group
        a, b = rng.normal(size=(2, count))
        y = 5 + 2 * a + np.roll(b, 1) + 0.3 * rng.normal(size=count)
        time = pd.date_range("2020-01-01", periods=count)
        parts.append(pd.DataFrame(dict(time=time, group=f"g{group}", a=a, b=b, y=y)))
    return pd.concat(parts, ignore_index=True)


DATA = frame()
PANEL = Panel(DATA, ["a", "b"], "y")
SHORT = LSTMRegressor(
    hidden=8, batch_size=8, epochs=40, learning_rate=0.03, steps_back=16, warm_up=8, patience=40
)


def changed(estimator, **settings):
    return clone(estimator).set_params(**settings)


@pytest.fixture(scope="module")
def fitted():
    return clone(SHORT).fit(PANEL)


def test_a_panel_is_learned(fitted):
    assert fitted.score(PANEL) > 0.9  # the noise leaves 0.98 at most, the first rows know less
    assert fitted.failure_ == ""
    forecast = fitted.predict_distribution(PANEL)
    inside = np.abs(forecast.cdf(DATA.y.to_numpy()) - 0.5) < 0.45
    assert 0.8 < inside.mean() < 0.98


def test_answers_are_in_the_order_of_rows(fitted):
    mixed = DATA.sort_values(["time", "group"], ignore_index=True)
    found = fitted.predict(Panel(mixed, ["a", "b"]))
    back = mixed.assign(found=found).sort_values(["group", "time"], ignore_index=True)
    np.testing.assert_array_equal(back.found, fitted.predict(PANEL))


def test_a_group_alone_and_a_changed_future(fitted):
    whole = fitted.predict(PANEL)
    one = DATA[DATA.group == "g2"]
    np.testing.assert_array_equal(fitted.predict(Panel(one, ["a", "b"])), whole[one.index])
    late = DATA.time > pd.Timestamp("2020-02-10")
    other = DATA.assign(a=DATA.a.where(~late, 9.0))
    found = fitted.predict(Panel(other, ["a", "b"]))
    np.testing.assert_array_equal(found[~late], whole[~late])
    assert (found[late] != whole[late]).all()


def test_unknown_targets_are_history():
    known = DATA.y.where(DATA.index % 3 != 0)
    fitted = clone(SHORT).fit(Panel(DATA.assign(y=known), ["a", "b"], "y"))
    assert np.isfinite(fitted.predict(PANEL)).all()
    assert fitted.score(PANEL) > 0.8


def test_the_horizon_is_purged():
    """Targets known only after the later part begins move nothing."""
    wide = changed(SHORT, horizon=5, epochs=3)
    ranks = DATA.time.rank(method="dense").astype(int)
    fitted = wide.fit(PANEL)
    first = np.sort(ranks)[int(np.ceil(0.8 * len(DATA)))]
    purged = (ranks > first - 5) & (ranks < first)
    moved = clone(wide).fit(Panel(DATA.assign(y=DATA.y.where(~purged, 1e3)), ["a", "b"], "y"))
    jax.tree.map(np.testing.assert_array_equal, moved.nets_, fitted.nets_)


def test_a_base_scale_is_a_unit():
    data = DATA.assign(base=np.where(DATA.index % 2, 0.1, 10.0))
    data["y"] = (data.y - 5) * data.base
    fitted = clone(SHORT).fit(Panel(data, ["a", "b"], "y", base_scale="base"))
    forecast = fitted.predict_distribution(Panel(data, ["a", "b"], base_scale="base"))
    ratio = forecast.deviation()[::2].mean() / forecast.deviation()[1::2].mean()
    assert 50 < ratio < 200


def test_several_targets_and_seeds():
    data = DATA.assign(z=-DATA.y)
    both = Panel(data, ["a", "b"], ["y", "z"])
    fitted = changed(SHORT, seeds=2).fit(both)
    assert fitted.predict(both).shape == (len(data), 2)
    one, other = fitted.predict_distribution(both)
    assert one.location.shape == (2, len(data))
    assert np.corrcoef(one.mean(), other.mean())[0, 1] < -0.8


def test_samples_have_steps():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(200, 5, 2))
    y = X[:, 0, 0] + X[:, -1, 1]
    longer = changed(SHORT, batch_size=32, epochs=80)
    fitted = longer.fit(X, y)
    assert fitted.score(X, y) > 0.7  # a net without memory: 0.5
    flat = changed(longer, steps=5).fit(X.reshape(200, 10), y)
    np.testing.assert_array_equal(flat.predict(X.reshape(200, 10)), fitted.predict(X))
    with pytest.raises(ArgumentError, match=r"X has 4 steps, it was fitted to 5\."):
        fitted.predict(X[:, :4])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (dict(cell="rnn"), r"cell must be one of \('lstm', 'gru'\), not 'rnn'\."),
        (dict(hidden=0), r"hidden must be a whole number from 1 on, not 0\."),
        (dict(head="t"), "head must be one of"),
        (dict(head="classes"), "head must be one of"),
        (dict(head="quantiles", levels=(0.5, 0.1)), "levels must rise"),
        (dict(head="quantiles", levels=3), "levels must rise, between 0 and 1, not 3"),
        (dict(head="quantiles", levels=None), "levels must rise"),
        (dict(head="quantiles", levels="low"), "levels must rise"),
        (dict(epochs=2**31), "epochs must be at most 2,147,483,647, not 2,147,483,648"),
        (dict(batch_size=2**21), "batch_size must be at most 1,048,576, not 2,097,152"),
        (dict(warm_start="yes"), "warm_start must be True or False"),
        (dict(learning_rate=0.0), "learning_rate must be above 0"),
        (dict(validation=1.0), r"validation must be from 0 to 0\.9, not 1\.0\."),
        (dict(optimizer="adam"), "optimizer must be one of optax's, not a str"),
        (dict(horizon=1000), "Nothing is left to learn from"),
    ],
)
def test_settings_that_cannot_be(setting, message):
    with pytest.raises(ArgumentError, match=message):
        changed(SHORT, **setting).fit(PANEL)


def test_rows_without_their_past_are_no_panel():
    """Each would be answered as if nothing had been before it."""
    fitted = clone(SHORT).fit(PANEL)
    with pytest.raises(ArgumentError, match=r"It was fitted to a Panel of .*: give one"):
        fitted.predict(np.zeros((3, len(PANEL.inputs))))


def test_retreats_are_said():
    model = changed(SHORT, seeds=2)
    with pytest.warns(ConvergenceWarning, match="1 of 2 fits .* half the rate, at most 2 times"):
        model._notice(SimpleNamespace(retreats=np.array([0, 2])))
    assert model.retreats_.tolist() == [0, 2]
    assert model.failure_ == ""


def test_killed_at_any_moment_it_ends_with_the_same_bits(tmp_path, monkeypatch):
    """Stopped after each epoch in turn; both stages of a refit."""
    settings = dict(epochs=5, refit="steps", seeds=2)
    wanted = changed(SHORT, **settings).fit(PANEL)
    path = tmp_path / "fit"
    saving = changed(SHORT, **settings, checkpoint=path, checkpoint_seconds=1e-9)
    monkeypatch.setattr(fitting, "CALL", 1e-9)
    written = Checkpoint.write
    kills = []

    def killed(self, tree):
        written(self, tree)
        kills.append(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "write", killed)
    while True:
        try:
            found = saving.fit(PANEL)
            break
        except KeyboardInterrupt:
            assert len(kills) < 30
    assert len(kills) > 5
    jax.tree.map(np.testing.assert_array_equal, found.nets_, wanted.nets_)
    monkeypatch.setattr(Checkpoint, "write", written)
    with pytest.raises(ArgumentError, match=r"of a fit with learning_rate=0\.03, not 0\.01"):
        changed(saving, learning_rate=0.01).fit(PANEL)
    with pytest.raises(ArgumentError, match="of a fit with machine='native', not 'xla'"):
        changed(saving, machine="xla").fit(PANEL)


def test_another_optimizer_is_another_fit(tmp_path):
    """By what it computes: one made anew is the same, one of another rate is not."""
    path = tmp_path / "fit"

    def fit(optimizer):
        return changed(SHORT, epochs=2, checkpoint=path, optimizer=optimizer).fit(PANEL)

    first = fit(optax.chain(optax.clip(1.0), optax.adam(1e-2)))
    again = fit(optax.chain(optax.clip(1.0), optax.adam(1e-2)))
    jax.tree.map(np.testing.assert_array_equal, again.nets_, first.nets_)
    for other in (optax.chain(optax.clip(1.0), optax.adam(1e-3)), optax.sgd(1e-2), None):
        with pytest.raises(ArgumentError, match="of a fit with optimizer='optax "):
            fit(other)


@pytest.mark.filterwarnings("ignore::tilewright.errors.DataWarning")
def test_a_grid_over_a_panel_of_unequal_lengths():
    """Folds are whole groups, which nets have not seen; others are refused."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(90, 2)), columns=["a", "y"])
    frame["group"] = np.repeat([*"abcd"], [30, 10, 20, 30])
    frame["time"] = frame.groupby("group").cumcount()
    model = LSTMRegressor(hidden=4, epochs=2, steps_back=8, warm_up=0)
    panel = Panel(frame, ["a"], "y")
    grid = GridSearchCV(model, {"learning_rate": [1e-3, 1e-2]}, cv=GroupKFold(2))
    found = grid.fit(panel, groups=frame.group)
    assert np.isfinite(found.cv_results_["mean_test_score"]).all()
    assert found.predict(panel).shape == (90,)
    with pytest.raises(ArgumentError, match="GroupKFold"):
        GridSearchCV(model, {"learning_rate": [1e-3]}, cv=KFold(2)).fit(panel)
