"""The signal that a net can expect of a target."""

import numpy as np
import pytest

from tilewright.alpha.signal import LEAST, fit_signal

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2000, 4))


@pytest.mark.parametrize("share", [0.3, 0.9])
@pytest.mark.parametrize("shape", ["linear", "product"])
def test_the_share_of_variance_is_found(share, shape):
    signal = X[:, 0] if shape == "linear" else X[:, 0] * X[:, 1]
    y = np.sqrt(share) * signal / signal.std() + np.sqrt(1 - share) * RNG.normal(size=2000)
    found = fit_signal(X, y - y.mean()) ** 2
    assert 0.6 * share < found < 1.1 * share


@pytest.mark.parametrize("rows", [2, 3, 10, 100, 2000])
def test_noise_has_the_least(rows):
    y = RNG.standard_t(4, rows)
    assert LEAST <= fit_signal(X[:rows], y - y.mean()) < 0.5
    if rows > 100:
        assert fit_signal(X[:rows], y - y.mean()) == LEAST


def test_nothing_to_foresee():
    assert fit_signal(X, np.zeros(2000)) == LEAST
