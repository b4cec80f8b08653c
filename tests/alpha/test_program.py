"""The compiled map samples what it should: its windows, its targets, its keys."""

from functools import partial

import jax
import numpy as np
import pytest

from tests.alpha.market import prices
from tilewright.alpha.controls import PLANTED, REAL, SERIES
from tilewright.alpha.forward import make_panel
from tilewright.alpha.noise import fit_degrees
from tilewright.alpha.program import Program, Task, keys_of, one_chain
from tilewright.alpha.sample import sample_window
from tilewright.alpha.settings import Sampler, Settings
from tilewright.alpha.windows import Window, rows_of, training_targets, walk_forward

SETTINGS = Settings(Sampler(warmup=4, draws=4, leapfrogs=2, hidden=3), seed=3)
PANEL = make_panel(prices(), 0)
WINDOWS = walk_forward(prices().days, 4)


def stacked() -> np.ndarray:
    return np.stack([PANEL.targets[name] for name in SERIES]).astype(np.float32)


@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize("window", [WINDOWS[0], WINDOWS[3]], ids=str)
def test_a_chain_is_given_the_rows_of_its_window(series, window, monkeypatch):
    """The cut inside of the program is that of `rows_of`, by which forecasts are scored."""
    monkeypatch.setattr(
        "tilewright.alpha.sample.sample_window",
        lambda sampler, key, X, y, X_test, df: (X, y, X_test),
    )
    chain = partial(one_chain, SETTINGS.sampler, PANEL.features.astype(np.float32), stacked())
    numbers = np.int32(SERIES.index(series)), np.int32(window.start)
    found = jax.jit(chain)(jax.random.key(0), *numbers, np.float32(4))
    expected = rows_of(window, PANEL.features, PANEL.targets[series])
    for one, other in zip(found, expected[:3], strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


def test_tasks_become_what_they_name():
    """The program from outside, against a chain sampled by JAX on rows that are cut here."""
    tasks = [
        Task(series, window, chain, df)
        for series, window, chain, df in (
            (REAL, WINDOWS[0], 0, 4.0),
            (REAL, WINDOWS[0], 1, 4.0),
            (PLANTED, WINDOWS[2], 1, 8.0),
        )
    ]
    program = Program(SETTINGS, PANEL, len(tasks))
    plain = jax.jit(partial(sample_window, SETTINGS.sampler))
    keys = keys_of(SETTINGS.seed, tasks)
    found = dict(program.stream(tasks))
    for task, key in zip(tasks, keys, strict=True):
        X, y, X_test, _ = rows_of(task.window, PANEL.features, PANEL.targets[task.series])
        rows = (array.astype(np.float32) for array in (X, y, X_test))
        expected = plain(key, *rows, np.float32(task.df))
        np.testing.assert_allclose(found[task].warm_up[0], expected.warm_up[0], rtol=1e-4)
    firsts = [found[task].warm_up[0] for task in tasks]
    assert len(set(map(float, firsts))) == 3  # chains of one window differ


def test_every_chain_has_a_key_of_its_own():
    tasks = [
        Task(series, window, chain, 4.0)
        for series in SERIES
        for window in WINDOWS
        for chain in range(3)
    ]
    words = {tuple(w) for s in (0, 1) for w in np.asarray(jax.random.key_data(keys_of(s, tasks)))}
    assert len(words) == 2 * len(tasks)


def test_degrees_of_freedom_are_fitted_to_training_days_alone():
    window = Window(0, 300, 0)
    target = np.random.default_rng(0).normal(size=(620, 3))
    expected = fit_degrees(training_targets(window, target))
    target[window.test :] *= 100 * np.random.default_rng(1).standard_t(1, size=(320 - 251, 3))
    target[: window.start] *= 100
    assert fit_degrees(training_targets(window, target)) == expected == 30.0
