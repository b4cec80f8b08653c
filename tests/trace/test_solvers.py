"""diffrax, lineax and optimistix as they are: solutions and gradients agree with JAX."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import optimistix as optx
import pytest

from tests.trace.comparing import agree
from tilewright.errors import UnsupportedError
from tilewright.trace import trace

MATRIX = jnp.array([[3.0, 1, 0], [1, 2, 0.5], [0, 0.5, 4]])
VECTOR = jnp.array([1.0, 2, 3])
KEY = jax.random.key(1)


def decay(start, rate):
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, y, rate: -rate * y),
        diffrax.Bosh3(),
        0.0,
        1.0,
        0.05,
        start,
        args=rate,
        stepsize_controller=diffrax.PIDController(rtol=1e-4, atol=1e-5),
        saveat=diffrax.SaveAt(ts=jnp.linspace(0, 1, 3)),
        max_steps=16,
    )
    assert solution.ys is not None
    return solution.ys.sum(), solution.ys


def test_an_ordinary_differential_equation():
    both = jax.value_and_grad(decay, (0, 1), has_aux=True)
    agree(both, VECTOR, 1.5, epsilons=4096, absolute=1e-4, interpreted=False)


def test_a_stochastic_differential_equation():
    def path(key):
        noise = diffrax.VirtualBrownianTree(0.0, 1.0, tol=0.1, shape=(3,), key=key)
        spread = diffrax.ControlTerm(lambda t, y, _: lx.DiagonalLinearOperator(0.2 * y), noise)
        terms = diffrax.MultiTerm(diffrax.ODETerm(lambda t, y, _: -y), spread)
        return diffrax.diffeqsolve(terms, diffrax.Heun(), 0.0, 1.0, 0.25, VECTOR).ys

    keys = jax.random.split(KEY, 2)
    agree(jax.vmap(path), keys, epsilons=512, absolute=1e-5, interpreted=False)


SOLVERS = {
    "LU": lx.LU(),
    "QR": lx.QR(),
    "SVD": lx.SVD(),
    "Cholesky": lx.Cholesky(),
    "CG": lx.CG(1e-6, 1e-6),
    "GMRES": lx.GMRES(1e-6, 1e-6),
}


@pytest.mark.parametrize("name", SOLVERS)
def test_a_linear_solve(name):
    def solved(matrix, vector):
        tags = lx.positive_semidefinite_tag if name in ("Cholesky", "CG") else ()
        operator = lx.MatrixLinearOperator(matrix, tags)
        return lx.linear_solve(operator, vector, SOLVERS[name]).value

    both = jax.value_and_grad(lambda m, v: solved(m, v).sum(), (0, 1))
    agree(both, MATRIX, VECTOR, absolute=1e-3, interpreted=False)


def test_a_tridiagonal_operator():
    def solved(diagonal, beside, vector):
        operator = lx.TridiagonalLinearOperator(diagonal, beside, beside)
        return lx.linear_solve(operator, vector).value

    agree(solved, 3 + VECTOR, VECTOR[:2], VECTOR, absolute=1e-5)


def test_a_root_and_its_derivative():
    def root(a):
        solver = optx.Newton(1e-6, 1e-6)
        return optx.root_find(lambda y, a: y**3 + y - a, solver, jnp.ones(3), args=a).value

    both = lambda a: (root(a), jax.jacobian(root)(a))  # noqa: E731
    agree(both, VECTOR, absolute=1e-5, interpreted=False)


@pytest.mark.parametrize("solver", (optx.BFGS, optx.NelderMead))
def test_a_minimum(solver):
    def least(a):
        loss = lambda y, a: jnp.sum((y - a) ** 2 + (y - a) ** 4)  # noqa: E731
        return optx.minimise(loss, solver(1e-6, 1e-6), jnp.zeros(3), args=a, max_steps=999).value

    agree(least, VECTOR, absolute=1e-2, interpreted=False)


def test_least_squares_and_a_fixed_point():
    def fitted(t):
        residual = lambda y, t: y[0] * jnp.exp(-y[1] * t) - jnp.exp(-0.5 * t)  # noqa: E731
        solver = optx.LevenbergMarquardt(1e-5, 1e-5)
        return optx.least_squares(residual, solver, jnp.array([0.5, 0.3]), args=t).value

    def fixed(a):
        solver = optx.FixedPointIteration(1e-5, 1e-5)
        return optx.fixed_point(lambda y, a: jnp.cos(y) * a, solver, a, args=a).value

    agree(fitted, VECTOR, absolute=1e-3, interpreted=False)
    agree(fixed, 0.9, absolute=1e-4, interpreted=False)


def test_an_error_check_says_how_to_switch_it_off():
    with pytest.raises(UnsupportedError, match=r"pure_callback .*throw=False.*EQX_ON_ERROR=nan"):
        trace(lambda x: eqx.error_if(x, x < 0, "negative", on_error="raise"), 1.0)
