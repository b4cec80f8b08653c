"""PyMC hands its models over through NumPyro; both say the same of the posterior."""

from typing import Any, cast

import jax
import numpy as np
import pytest

import tilewright

pymc = pytest.importorskip("pymc", reason="PyMC is not installed (make test-peers installs it)")

pytestmark = [
    pytest.mark.peers,
    # What PyMC and ArviZ say of themselves while they are imported and used.
    pytest.mark.filterwarnings("ignore"),
]

SLOPE = np.array([1.0, -0.5])


@pytest.fixture(autouse=True)
def precision_stays():
    """PyMC switches JAX to 64 bits for the whole process."""
    before = jax.config.read("jax_enable_x64")
    yield
    jax.config.update("jax_enable_x64", before)


def test_a_linear_regression_through_numpyro():
    from pymc.sampling.jax import sample_numpyro_nuts

    data = np.random.default_rng(0)
    x = data.normal(size=(100, 2))
    y = x @ SLOPE + data.normal(size=100)
    with pymc.Model():
        slope = pymc.Normal("slope", 0, 2, shape=2)
        pymc.Normal("y", x @ slope, 1, observed=y)
        found = sample_numpyro_nuts(
            draws=1000, tune=300, chains=4, chain_method=cast(Any, tilewright.chains),
            random_seed=1, progressbar=False,
        )  # fmt: skip
    draws = found.posterior["slope"].to_numpy()
    assert draws.shape == (4, 1000, 2)
    precision = x.T @ x + np.eye(2) / 4
    mean, covariance = np.linalg.solve(precision, x.T @ y), np.linalg.inv(precision)
    # 4,000 draws of NUTS count as 1,000 at the least: |z| < 4.5 fails once in 70,000 runs.
    error = np.sqrt(np.diag(covariance) / 1000)
    assert np.all(np.abs(draws.mean((0, 1)) - mean) < 4.5 * error)
    np.testing.assert_allclose(draws.std((0, 1)), np.sqrt(np.diag(covariance)), rtol=0.15)
