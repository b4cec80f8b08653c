"""Probabilities: that they are learned, calibrated, moved to other priors, and in whose order."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from tilewright.errors import ArgumentError
from tilewright.sequence import LSTMClassifier, Panel

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 4, 2))
SIGNAL = X[:, -1, 0] + X[:, 0, 1]
Y = np.where(SIGNAL + 0.3 * RNG.normal(size=400) > 0.8, "yes", "no")
SHORT = LSTMClassifier(hidden=8, batch_size=32, epochs=40, learning_rate=0.03)


@pytest.mark.slow
@parametrize_with_checks([LSTMClassifier(hidden=4, batch_size=32, epochs=60, learning_rate=0.05)])
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def fitted():
    return clone(SHORT).fit(X, Y)


def changed(**settings):
    return clone(SHORT).set_params(**settings)


def test_it_learns_from_the_past(fitted):
    assert fitted.score(X, Y) > 0.85  # always "no": 0.71
    found = fitted.predict_proba(X)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert list(fitted.classes_) == ["no", "yes"]
    np.testing.assert_array_equal(fitted.predict(X), fitted.classes_[found.argmax(axis=1)])


def test_a_prior_moves_log_odds(fitted):
    other = changed(prior=0.01).fit(X, Y)
    share = np.mean(Y == "yes")
    shift = np.log(0.01 / 0.99) - np.log(share / (1 - share))
    odds = np.log(fitted.predict_proba(X)) @ [-1, 1]
    np.testing.assert_allclose(np.log(other.predict_proba(X)) @ [-1, 1], odds + shift, rtol=1e-6)


@pytest.mark.parametrize("settings", [{}, dict(calibration="temperature")])
def test_a_prior_knows_of_weights_of_classes(settings):
    """What nets with weights have learned is another share: that is what odds are moved from."""
    weighted = changed(class_weight={"no": 1, "yes": 3}, epochs=3, **settings).fit(X, Y)
    moved = clone(weighted).set_params(prior=0.5).fit(X, Y)
    share = np.mean(Y == "yes")
    shift = -np.log(3 * share / (1 - share))
    odds = np.log(weighted.predict_proba(X)) @ [-1, 1]
    np.testing.assert_allclose(np.log(moved.predict_proba(X)) @ [-1, 1], odds + shift, rtol=1e-6)


def test_a_prior_after_isotonic_calibration_is_from_the_later_share():
    settings = dict(class_weight={"no": 1, "yes": 3}, epochs=3, calibration="isotonic")
    stepwise = changed(**settings).fit(X, Y)
    moved = changed(**settings, prior=0.5).fit(X, Y)
    share = np.mean(Y[320:] == "yes")
    assert abs(share - np.mean(Y == "yes")) > 0.01
    said, found = (model.predict_proba(X)[:, 1] for model in (stepwise, moved))
    sure = (said > 1e-6) & (said < 1 - 1e-6)
    shift = np.log(found / (1 - found)) - np.log(said / (1 - said))
    np.testing.assert_allclose(shift[sure], -np.log(share / (1 - share)), rtol=1e-4)


def test_calibration_is_by_later_data():
    """A net that has learned its own data by heart is too sure, and is told so."""
    noise = np.random.default_rng(1).permutation(Y)
    settings = dict(epochs=150, patience=150, average=0.0, validation=0.5)
    by_heart = changed(**settings).fit(X, noise)
    last = by_heart.nets_
    cooled = changed(**settings, calibration="temperature").fit(X, noise)
    np.testing.assert_array_equal(cooled.nets_.skip, last.skip)
    late = np.arange(200, 400)

    def lost(model):
        own = (noise[late] == "yes").astype(int)
        return -np.log(model.predict_proba(X[late])[np.arange(200), own]).mean()

    assert lost(cooled) <= lost(by_heart) + 1e-9
    stepwise = changed(**settings, calibration="isotonic").fit(X, noise)
    found = stepwise.predict_proba(X[late])[:, 1]
    assert abs(found.mean() - np.mean(noise[late] == "yes")) < 1e-6


@pytest.mark.parametrize("calibration", ["temperature", "isotonic"])
def test_nets_that_learn_from_all_in_the_end_are_calibrated_by_those_that_did_not(calibration):
    """What learned the later data by heart says too much of them to be calibrated there."""
    settings = dict(epochs=40, validation=0.4, calibration=calibration, average=0.0)
    stopped, again = (changed(**settings, refit=refit).fit(X, Y) for refit in (None, "steps"))
    assert not np.array_equal(stopped.nets_.skip, again.nets_.skip)
    assert again.temperature_ == stopped.temperature_
    np.testing.assert_array_equal(again.isotonic_, stopped.isotonic_)


def test_weights_of_classes(fitted):
    heavy = changed(class_weight={"no": 1, "yes": 10}).fit(X, Y)
    assert heavy.predict_proba(X)[:, 1].mean() > fitted.predict_proba(X)[:, 1].mean() + 0.01


def test_a_class_of_no_weight_is_as_if_its_rows_were_not_there():
    y = np.where(SIGNAL > 0.5, "up", np.where(SIGNAL < -0.5, "down", "flat"))
    settings = dict(epochs=20, learning_rate=0.05, batch_size=8, calibration="temperature")
    model = changed(**settings, class_weight={"up": 1, "flat": 0, "down": 1}).fit(X, y)
    moved = y != "flat"
    assert model.classes_.tolist() == ["down", "flat", "up"]
    assert model.predict_proba(X)[:, 1].max() < 0.05
    assert model.score(X[moved], y[moved]) > 0.8


def test_labels_that_have_not_arrived():
    count = 120
    y = np.asarray(SIGNAL[:count] > 0.8, float)
    y[::5] = np.nan
    data = pd.DataFrame(dict(time=np.arange(count), a=X[:count, -1, 0], b=X[:count, 0, 1], y=y))
    panel = Panel(data, ["a", "b"], "y", group=None)
    fitted = changed(steps_back=16, warm_up=4, epochs=60).fit(panel)
    assert fitted.predict_proba(panel).shape == (count, 2)
    assert fitted.score(panel) > 0.9
    three = Panel(data.assign(y=np.arange(count) % 3), ["a", "b"], "y", group=None)
    assert changed(epochs=2).fit(three).predict_proba(three).shape == (count, 3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(calibration="platt"), "calibration must be one of"),
        (dict(calibration="isotonic", validation=0), "needs a validation above 0"),
        (dict(prior=(0.2, 0.3, 0.5)), "prior must be above 0 for each of"),
        (dict(prior=(np.inf, 1)), "prior must be above 0 for each of"),
        (dict(prior="even"), "prior must be above 0 for each of"),
        (dict(class_weight="heavy"), "class_weight must be None, 'balanced'"),
        (dict(class_weight={"no": 1, "yes": -1}), "Weights of classes must be 0 or more"),
        (dict(class_weight={"no": 0, "yes": 0}), "Weights of classes must be 0 or more, and one"),
        (dict(class_weight={"no": 1, "yes": 0}, prior=0.5), "prior needs .*, but that of yes is 0"),
        (dict(class_weight={"no": 1, "yes": np.nan}), "Weights of classes must be 0 or more"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(ArgumentError, match=message):
        changed(**settings).fit(X, Y)


def test_one_class():
    with pytest.raises(ArgumentError, match="at least two classes"):
        changed().fit(X, np.zeros(400))
