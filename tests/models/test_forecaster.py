"""Losses against SciPy's densities, quantiles that rise, a start that knows nothing."""

import jax
import numpy as np
import pytest
from scipy import stats

from tilewright.models import forecaster, recurrent
from tilewright.models.forecaster import CLASSES, HEADS, Forecaster
from tilewright.models.recurrent import Layer, Recurrent

RANDOM = np.random.default_rng(0)
NET = Recurrent((Layer("lstm", 3, 5),), reads="every step")
LEVELS = (0.05, 0.5, 0.8)


def made(head, targets=2):
    form = Forecaster(NET, head, targets, LEVELS if head == "quantiles" else ())
    start = forecaster.initial(form, jax.random.key(0))
    noise = jax.tree.map(lambda a: 0.3 * RANDOM.normal(size=a.shape).astype(np.float32), start)
    return form, start, jax.tree.map(np.add, start, noise)


def test_losses_are_log_densities():
    y = RANDOM.normal(size=(4, 7, 2)).astype(np.float32)
    z = RANDOM.normal(size=(4, 7, 4)).astype(np.float32)
    location, scale = z[..., ::2], np.exp(z[..., 1::2])
    form, _, parameters = made("student_t")
    df = 2 + 6 * np.exp(10 * np.float64(parameters.log_degrees))
    wanted = -stats.t.logpdf(y, df, location, scale)
    found = forecaster.loss(form, parameters, z, y)
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-5)
    form, _, parameters = made("normal")
    found = forecaster.loss(form, parameters, z, y)
    np.testing.assert_allclose(found, -stats.norm.logpdf(y, location, scale), rtol=2e-5, atol=2e-5)


def test_quantiles_rise_and_their_loss_is_pinball():
    form, _, parameters = made("quantiles")
    y = RANDOM.normal(size=(50, 2)).astype(np.float32)
    z = 3 * RANDOM.normal(size=(50, 6)).astype(np.float32)
    found = np.asarray(forecaster.quantiles(form, z))
    assert (np.diff(found, axis=-1) > 0).all()
    error = y[..., None] - found
    wanted = np.where(error > 0, error * LEVELS, error * (np.array(LEVELS) - 1)).mean(-1) * 2
    np.testing.assert_allclose(forecaster.loss(form, parameters, z, y), wanted, rtol=1e-5)


@pytest.mark.parametrize("head", [head for head in HEADS if head != CLASSES])
def test_the_first_forecast_is_a_standard_normal_whatever_the_inputs(head):
    form, start, _ = made(head)
    xs = RANDOM.normal(size=(6, 2, 3)).astype(np.float32)
    _, z, _ = forecaster.run(form, start, recurrent.zero_state(NET, (2,)), xs)
    if head == "quantiles":
        wanted = np.broadcast_to(stats.norm.ppf(LEVELS), (6, 2, 2, 3))
        np.testing.assert_allclose(forecaster.quantiles(form, z), wanted, atol=1e-6)
    else:
        location, scale = forecaster.location_and_scale(form, z)
        assert not np.asarray(location).any()
        assert (np.asarray(scale) == 1).all()


def test_steps_go_on_from_a_state():
    form, _, parameters = made("student_t")
    xs = RANDOM.normal(size=(9, 2, 3)).astype(np.float32)
    zero = recurrent.zero_state(NET, (2,))
    end, whole, _ = forecaster.run(form, parameters, zero, xs)
    middle, first, _ = forecaster.run(form, parameters, zero, xs[:4])
    last, rest, _ = forecaster.run(form, parameters, middle, xs[4:])
    np.testing.assert_allclose(np.concatenate([first, rest]), whole, rtol=1e-5, atol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), last, end)


def test_classes_have_the_loss_of_their_logs():
    form = Forecaster(NET, "classes", 1, classes=3)
    start = forecaster.initial(form, jax.random.key(0))
    z = RANDOM.normal(size=(5, 4, 2)).astype(np.float32)
    y = RANDOM.integers(3, size=(5, 4, 1)).astype(np.float32)
    chances = np.exp(np.concatenate([np.zeros((5, 4, 1)), z], axis=-1))
    chances /= chances.sum(axis=-1, keepdims=True)
    own = np.take_along_axis(chances, y.astype(int), axis=-1)
    np.testing.assert_allclose(forecaster.loss(form, start, z, y), -np.log(own), rtol=1e-5)
