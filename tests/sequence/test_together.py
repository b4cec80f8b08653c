"""Fits side by side are those alone, to the bit; and fits that go on say what they said before."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import optax
import pandas as pd
import pytest

from tilewright.errors import ArgumentError
from tilewright.models import forecaster
from tilewright.sequence import LSTMClassifier, LSTMRegressor, Panel
from tilewright.sequence.moved import moved
from tilewright.sequence.together import fit_together
from tilewright.sequence.training import MOST_RETREATS

RNG = np.random.default_rng(0)
SMALL: dict[str, Any] = dict(
    hidden=4, epochs=4, steps_back=8, warm_up=4, batch_size=8, validation=0.3
)


def panel(days: int, seed: int) -> Panel:
    """Three groups whose scale follows their second input."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(3 * days, 2)), columns=["a", "b"])
    frame["time"] = np.repeat(np.arange(days), 3)
    frame["group"] = np.tile(np.arange(3), days)
    frame["y"] = np.exp(0.5 * frame.b) * rng.normal(size=len(frame)) + 0.2 * frame.a
    return Panel(frame, ["a", "b"], "y")


DATA = [panel(60, 1), panel(90, 2), panel(75, 3)]


def models() -> list[LSTMRegressor]:
    numbers = zip((1, 2, 1), (1e-2, 3e-3, 1e-2), (5, 6, 5), strict=True)
    return [
        LSTMRegressor(seeds=seeds, learning_rate=rate, random_state=state, **SMALL)
        for seeds, rate, state in numbers
    ]


def same(one, other) -> bool:
    import jax

    leaves = zip(jax.tree.leaves(one.nets_), jax.tree.leaves(other.nets_), strict=True)
    return all(np.array_equal(a, b) for a, b in leaves) and np.array_equal(
        one.scores_, other.scores_, equal_nan=True
    )


@pytest.fixture(scope="module")
def joined():
    found = models()
    fit_together(found, DATA)
    return found


def test_each_ends_as_it_would_alone(joined):
    """Data of other lengths and settings beside it change no bit."""
    for model, alone, data in zip(joined, models(), DATA, strict=True):
        assert same(model, alone.fit(data))
    assert not same(joined[0], joined[2])


def test_killed_and_called_again_ends_with_the_same_bits(joined, tmp_path, monkeypatch):
    from tilewright.sequence import checkpoint

    whole, count = checkpoint.write_bytes, []

    def killed(path, content):
        whole(path, content)
        count.append(1)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "write_bytes", killed)
        with pytest.raises(KeyboardInterrupt):
            fit_together(models(), DATA, tmp_path / "fit", seconds=0)
    again = models()
    fit_together(again, DATA, tmp_path / "fit", seconds=1e6)
    assert len(count) == 1
    assert all(same(a, b) for a, b in zip(again, joined, strict=True))


def test_what_cannot_be_fitted_together():
    other = LSTMRegressor(**SMALL | dict[str, Any](hidden=5))
    with pytest.raises(ArgumentError, match="nets of the same form"):
        fit_together([models()[0], other], DATA[:2])
    with pytest.raises(ArgumentError, match="There are 1 models and 2 data sets"):
        fit_together(models()[:1], DATA[:2])
    with pytest.raises(ArgumentError, match="A model is there twice"):
        fit_together(models()[:1] * 2, DATA[:2])
    with pytest.raises(ArgumentError, match="must be of one machine"):
        fit_together([models()[0], models()[1].set_params(machine="xla")], DATA[:2])


@pytest.mark.parametrize("calibration", ["temperature", "isotonic"])
def test_classifiers_are_calibrated_as_they_are_alone(calibration):
    def classifier(state: int) -> LSTMClassifier:
        settings = dict[str, Any](hidden=4, epochs=4, learning_rate=0.1, calibration=calibration)
        return LSTMClassifier(random_state=state, **settings)

    xs, ys = RNG.normal(size=(2, 60, 3, 2)), RNG.random((2, 60)) < 0.4
    found = [classifier(0), classifier(1)]
    fit_together(found, list(zip(xs, ys, strict=True)))
    for state, (model, x, y) in enumerate(zip(found, xs, ys, strict=True)):
        alone = classifier(state).fit(x, y)
        assert model.temperature_ == alone.temperature_
        assert (model.temperature_ != 1) is (calibration == "temperature")
        np.testing.assert_array_equal(model.isotonic_, alone.isotonic_)
        np.testing.assert_array_equal(model.predict_proba(x), alone.predict_proba(x))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_nets_beside_other_scalers_say_the_same(cell):
    model = LSTMRegressor(cell=cell, **SMALL | dict[str, Any](epochs=2)).fit(DATA[0])
    form, x = model._recipe.form, RNG.normal(size=(30, 1, 2))
    old = model._scalers()
    new = (old[0] + 0.3, old[1] * [2.0, 0.7], old[2] - 0.2, old[3] * 1.5)
    nets = moved(form, model.nets_, *old, *new)
    said = []
    for weights, (centre, unit, y_centre, y_unit) in ((model.nets_, old), (nets, new)):
        one = forecaster.jax.tree.map(lambda leaf: leaf[0], weights)
        zero = forecaster.recurrent.zero_state(form.net, (1,))
        scaled = ((x - centre) / unit).astype(np.float32)
        z = np.asarray(forecaster.run(form, one, zero, scaled)[1], np.float64)
        location, scale = forecaster.location_and_scale(form, z, np)
        said.append((y_centre + y_unit * location, y_unit * scale))
    np.testing.assert_allclose(said[1], said[0], atol=2e-5)


def test_a_warm_start_goes_on():
    """With a rate of next to nothing, what is learned stays as it was, on other data."""
    model = LSTMRegressor(warm_start=True, **SMALL).fit(DATA[1])
    before = model.predict(DATA[2])
    model.set_params(learning_rate=1e-9).fit(DATA[2])
    np.testing.assert_allclose(model.predict(DATA[2]), before, atol=1e-4)
    model.set_params(hidden=5)
    with pytest.raises(ArgumentError, match="of the same sizes"):
        model.fit(DATA[2])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_failure_before_the_training_on_all_data_is_said():
    """Alone or beside others: nobody knows how many steps to train again."""
    broken = [
        LSTMRegressor(**SMALL, refit="steps", seeds=2, optimizer=optax.scale(float("nan")))
        for _ in range(2)
    ]
    broken[0].fit(DATA[0])
    fit_together(broken[1:], DATA[:1])
    for model in broken:
        assert "2 of 2 fits was not finite" in model.failure_
        assert model.retreats_.tolist() == [MOST_RETREATS + 1] * 2


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_retreats_of_both_trainings_are_said():
    model = LSTMRegressor(**SMALL, seeds=2)
    retreats = np.array([[1, 0], [2, 0]], np.int32)
    fits = [SimpleNamespace(best=None, retreats=each) for each in retreats]
    model._kept(*fits)
    assert (model.retreats_.tolist(), model.failure_) == ([3, 0], "")
    fits[0].retreats = np.array([0, MOST_RETREATS + 1], np.int32)
    assert "1 of 2 fits" in model._kept(*fits).failure_


def test_a_file_does_not_tell_how_often_it_was_fitted(tmp_path):
    """A job that goes on may have been refused a checkpoint first, and begun again."""
    once, twice = models()[0], models()[0]
    once.fit(DATA[0]).save(tmp_path / "once")
    twice.fit(DATA[0]).fit(DATA[0]).save(tmp_path / "twice")
    assert (tmp_path / "once").read_bytes() == (tmp_path / "twice").read_bytes()
