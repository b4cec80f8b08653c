"""Rows under a Student-t with a floor: against scipy, and slopes against those of JAX itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from tilewright.models.student_rows import student_rows

FLOOR = 0.3
RNG = np.random.default_rng(0)
Y, MEANS, SCALES = RNG.normal(size=(3, 40)).astype(np.float32)
WEIGHT = RNG.uniform(0, 2, 40).astype(np.float32)
DF = np.float32(4.5)


def plain(y, mean, log_scale, df, weight):
    """The same without any rule of ours."""
    variance = jnp.exp(2 * log_scale) + FLOOR**2
    tail = jnp.log1p((y - mean) ** 2 / (df * variance))
    return jnp.sum(weight * (-0.5 * jnp.log(variance) - 0.5 * (df + 1) * tail))


def test_scipys_density_up_to_a_constant():
    def gap(shift: float) -> float:
        scale = np.sqrt(np.exp(2 * SCALES) + FLOOR**2)
        theirs = WEIGHT @ scipy.stats.t.logpdf(Y, DF, MEANS + shift, scale)
        ours = student_rows(Y, MEANS + shift, SCALES, DF, WEIGHT, FLOOR)
        return float(ours - theirs)

    assert gap(0.5) == pytest.approx(gap(0), abs=1e-3)


@pytest.mark.parametrize("mean", [MEANS, np.float32(0.2)], ids=["rows", "constant"])
@pytest.mark.parametrize("log_scale", [SCALES, np.float32(-0.5)], ids=["rows", "constant"])
def test_slopes_in_all_that_it_is_given(mean, log_scale):
    args = Y, mean, log_scale, DF, WEIGHT
    for number in range(5):
        ours = jax.grad(lambda *a: student_rows(*a, FLOOR), number)(*args)
        np.testing.assert_allclose(ours, jax.grad(plain, number)(*args), rtol=2e-4, atol=2e-5)
