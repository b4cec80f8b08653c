"""What goes out to ArviZ is what the model has."""

from dataclasses import replace

import numpy as np

from tests.alpha.scale.small import PRICES, SMALL, WINDOWS
from tilewright.alpha.priors import each_draw
from tilewright.alpha.scale.panel import make_panel, training_rows
from tilewright.alpha.scale.program import fit_window
from tilewright.alpha.scale.traces import linear_effects, to_arviz
from tilewright.models import bnn


def test_weights_and_degrees_are_those_of_each_draw():
    fit = fit_window(SMALL, training_rows(make_panel(PRICES, 1), WINDOWS[0]), WINDOWS[0], None,
                     "real")  # fmt: skip
    found = to_arviz(fit)
    assert found.posterior.sizes["chain"] == 2
    assert found.posterior.sizes["draw"] == 6
    np.testing.assert_array_equal(found.sample_stats["lp"], fit.log_density)
    for place, at in each_draw(fit.positions):
        linear = bnn.weights_of(at.scale.linear, bnn.SCALE.linear, np)
        np.testing.assert_allclose(found.posterior["log_scale_linear"].values[place], linear,
                                   rtol=1e-5)  # fmt: skip
        df = bnn.degrees(at, 1.0, np)
        assert abs(float(found.posterior["df"].values[place]) / df - 1) < 1e-6


def test_a_feature_s_effect_is_what_it_does_to_a_forecast():
    linear = replace(SMALL, scale="linear")
    rows = training_rows(make_panel(PRICES, 1), WINDOWS[0])
    fit = fit_window(linear, rows, WINDOWS[0], None, "real")
    found = linear_effects(fit)
    assert found is not None
    _, scale, _ = fit.forecasts(np.concatenate([np.zeros((1, 28)), np.eye(28)]))
    moved = np.log(scale[:, :, 1:] / scale[:, :, :1])
    np.testing.assert_allclose(found[0], moved.mean(axis=(0, 1)), rtol=0.02, atol=1e-4)
    np.testing.assert_allclose(found[1], moved.std(axis=(0, 1)), rtol=0.05, atol=1e-4)
