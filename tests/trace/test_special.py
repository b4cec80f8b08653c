"""Special functions that are traced from JAX's own implementations."""

import jax
import jax.numpy as jnp
import jax.scipy.special as special
import numpy as np
import pytest
import scipy.special
from jax import lax

import tilewright
from tests.trace.comparing import agree

A = jnp.array([0.3, 1.0, 2.5, 10.0, 50.0])
X = jnp.array([0.1, 1.5, 2.0, 30.0, 45.0])


def test_incomplete_gamma():
    agree(lambda a, x: (lax.igamma(a, x), lax.igammac(a, x)), A, X, epsilons=64, absolute=1e-6)
    agree(lax.igamma_grad_a, A, X, epsilons=256, absolute=1e-5)
    agree(lax.random_gamma_grad, A, X, epsilons=256, absolute=1e-4)
    agree(lax.igamma, A.astype(jnp.bfloat16), X.astype(jnp.bfloat16), epsilons=2)


def test_incomplete_beta():
    agree(lambda a, x: lax.betainc(a, a + 1, x / 50), A, X, epsilons=256, absolute=1e-6)


def test_bessel():
    agree(lambda x: (lax.bessel_i0e(x), lax.bessel_i1e(x)), X, epsilons=32)
    agree(lambda x: special.i0(x), X, epsilons=64)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_scaled_bessel_function_is_a_series(dtype):
    """Near and far, within the error of XLA's; sums of sixteen exponentials took eight times as
    long, and as long again to compile."""
    x = np.concatenate([np.linspace(-50, 50, 999), np.geomspace(1e-30, 1e30, 99), [8, np.inf]])
    with jax.enable_x64(dtype is np.float64):
        program = tilewright.compile(lax.bessel_i1e, x.astype(dtype))
        ours, exact = program(x.astype(dtype)), scipy.special.i1e(x.astype(dtype).astype("f8"))
    assert "exp(" not in program.graph
    np.testing.assert_allclose(ours, exact, rtol=16 * np.finfo(dtype).eps)


def test_polygamma_and_zeta():
    agree(lambda x: special.polygamma(1, x), A, epsilons=64)
    agree(lambda a: special.zeta(a + 1.5, 2.0), A, epsilons=64)
    agree(jax.grad(lambda a: special.digamma(a).sum()), A, epsilons=64)


def test_compositions():
    agree(lambda x: (special.logsumexp(x), jax.nn.softmax(x)), X, epsilons=32)
    agree(lambda x: (special.gammaln(x), special.betaln(x, A)), X, epsilons=64, absolute=1e-5)
    agree(lambda x: (special.ndtr(x), special.ndtri(x / 50), special.expit(x)), X, epsilons=64)
    agree(jax.grad(lambda x: special.gammaln(x).sum()), X, epsilons=64, absolute=1e-6)
