"""Linear algebra: the laws of each factorisation at LAPACK's accuracy, and JAX's conventions."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tests.trace.comparing import agree, count, operations, trace, ways
from tilewright.errors import UnsupportedError
from tilewright.trace.decompose import blocked_qr, qr
from tilewright.trace.rules import linalg as rules

RANDOM = np.random.default_rng(1)
SIZES = (0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 100)
FEW = (1, 2, 3, 7, 12)


def square(n, dtype=np.float32):
    return RANDOM.normal(size=(n, n)).astype(dtype)


def positive(n, dtype: Any = np.float32):
    a = square(n, dtype)
    return a @ a.T + np.eye(n, dtype=dtype)


def close(left, right, epsilons=32):
    """Within rounding errors of the largest element."""
    size = max(np.max(np.abs(right), initial=0), 1e-30)
    eps = np.finfo(np.asarray(left).dtype).eps
    np.testing.assert_allclose(left, right, 0, epsilons * eps * size)


@pytest.mark.parametrize("n", SIZES)
def test_cholesky(n):
    a = positive(n)
    for (factor,) in ways(jnp.linalg.cholesky, a):
        close(factor @ factor.T, a)
        np.testing.assert_array_equal(factor, np.tril(factor))


def test_cholesky_of_what_is_not_positive_is_nan():
    both = np.stack([np.eye(3), -np.eye(3)]).astype(np.float32)
    agree(jnp.linalg.cholesky, both)
    agree(jnp.linalg.cholesky, np.ones((3, 3), np.float32))


@pytest.mark.parametrize("left_side", (True, False))
@pytest.mark.parametrize("lower", (True, False))
@pytest.mark.parametrize("transpose", (True, False))
@pytest.mark.parametrize("unit", (True, False))
def test_triangular_solve(left_side, lower, transpose, unit):
    a = square(5) + 4 * np.eye(5, dtype=np.float32)
    b = RANDOM.normal(size=(5, 3) if left_side else (3, 5)).astype(np.float32)

    def solve(a, b):
        return jax.lax.linalg.triangular_solve(
            a, b, left_side=left_side, lower=lower, transpose_a=transpose, unit_diagonal=unit
        )

    agree(solve, a, b, epsilons=128, absolute=1e-4)


@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (5, 3), (3, 5)])
def test_lu(shape):
    agree(jax.lax.linalg.lu, RANDOM.normal(size=shape).astype(np.float32), absolute=1e-5)
    batch = RANDOM.normal(size=(2, *shape)).astype(np.float32)
    agree(jax.lax.linalg.lu, batch, absolute=1e-5)


@pytest.mark.parametrize("n", SIZES)
def test_solve_at_every_size(n):
    a, b = square(n) + n * np.eye(n, dtype=np.float32), RANDOM.normal(size=(n, 2))
    agree(jnp.linalg.solve, a, b.astype(np.float32), absolute=1e-5)


@pytest.mark.parametrize("shape", [(0, 0), (3, 0), (0, 3), (2, 0, 0), (0, 3, 3)])
def test_lu_of_nothing(shape):
    agree(jax.lax.linalg.lu, np.zeros(shape, np.float32))


def test_float64():
    with jax.enable_x64(True):
        a, b = positive(20, np.float64), RANDOM.normal(size=20)
        agree(lambda a: (jnp.linalg.cholesky(a), jnp.linalg.inv(a)), a, absolute=1e-12)
        agree(jnp.linalg.solve, a, b, absolute=1e-12)


def test_only_one_triangle_is_read():
    a = positive(9)
    for n in (1, 4, 9):
        spoilt = np.where(np.tri(n, dtype=bool), a[:n, :n], np.nan)

        def factor(a):
            return jax.lax.linalg.cholesky(a, symmetrize_input=False)

        for (found,) in ways(factor, spoilt):
            close(found @ found.T, a[:n, :n])


def gaussian(a, b):
    """A log density and its gradient: a factor, a solution, a determinant."""

    def log_density(a, b):
        factor = jnp.linalg.cholesky(a)
        whitened = jax.scipy.linalg.solve_triangular(factor, b, lower=True)
        return -0.5 * jnp.sum(whitened**2) - jnp.sum(jnp.log(jnp.diagonal(factor)))

    return jax.value_and_grad(log_density, (0, 1))(a, b)


def test_gradients():
    a, b = positive(40), RANDOM.normal(size=40).astype(np.float32)
    agree(gaussian, a, b, absolute=1e-3)
    agree(jax.vmap(gaussian), np.stack([a[:5, :5]] * 3), np.stack([b[:5]] * 3), absolute=1e-3)
    agree(jax.grad(lambda a, b: jnp.sum(jnp.linalg.solve(a, b) ** 2)), a, b, absolute=1e-3)


def test_large_matrices_are_factored_in_blocks(monkeypatch):
    monkeypatch.setattr(rules, "BLOCK", 24)
    a, b = positive(50), RANDOM.normal(size=50).astype(np.float32)
    both = operations(trace(gaussian, a, b).graph)
    assert {"cholesky", "triangular_solve", "dot"} <= both
    agree(gaussian, a, b, absolute=1e-3)
    for shape in ((30, 50), (50, 30)):
        batch = RANDOM.normal(size=(2, *shape)).astype(np.float32)
        agree(jax.lax.linalg.lu, batch, absolute=1e-3)
    agree(jnp.linalg.cholesky, np.stack([positive(30), -positive(30)]), absolute=1e-4)


def test_lu_of_singular_matrices():
    agree(jax.lax.linalg.lu, np.zeros((3, 3), np.float32))
    agree(jax.lax.linalg.lu, np.ones((3, 3), np.float32))


def test_solve_and_determinants():
    a, b = square(6) + np.eye(6, dtype=np.float32), RANDOM.normal(size=6).astype(np.float32)
    agree(lambda a, b: (jnp.linalg.solve(a, b), jnp.linalg.inv(a)), a, b, absolute=1e-3)
    agree(lambda a: (jnp.linalg.slogdet(a), jnp.linalg.det(a)), a, epsilons=512)
    agree(jax.grad(lambda a: jnp.linalg.slogdet(a)[1]), a, absolute=1e-3)

    def solve(f, b):
        return jax.scipy.linalg.cho_solve((f, True), b)

    agree(solve, np.linalg.cholesky(positive(4)), b[:4], absolute=1e-4)


@pytest.mark.parametrize("mode", ("reduced", "complete"))
@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (6, 3), (3, 6), (3, 1)])
def test_qr(shape, mode):
    a = RANDOM.normal(size=shape).astype(np.float32)
    agree(lambda a: jnp.linalg.qr(a, mode=mode), a, absolute=2e-5)
    for q, r in ways(lambda a: jnp.linalg.qr(a, mode=mode), a):
        close(q @ r, a)
        close(q.T @ q, np.eye(q.shape[1]))


@pytest.mark.parametrize("shape", [(9, 33), (40, 19)])
def test_qr_of_large_matrices_by_panels(monkeypatch, shape):
    """Several stretches of panels, panels that are left over; a singular one, too."""
    monkeypatch.setattr(qr, "LARGE", 8)
    monkeypatch.setattr(blocked_qr, "PANEL", 4)
    monkeypatch.setattr(blocked_qr, "_STRETCH", 8)
    a = RANDOM.normal(size=shape).astype(np.float32)
    agree(jnp.linalg.qr, a, absolute=1e-5)
    a[:, 3] = a[:, 2]
    for q, r in ways(lambda a: jnp.linalg.qr(a, mode="complete"), a):
        close(q @ r, a)
        close(q.T @ q, np.eye(q.shape[1]))


def test_qr_of_large_numbers_and_of_zero():
    a = np.array([[1e30, 2e30], [3e30, 4e30]], np.float32)
    for q, r in ways(jnp.linalg.qr, a):
        close(q @ r, a)
    agree(jnp.linalg.qr, np.zeros((3, 2), np.float32), absolute=1e-30)


@pytest.mark.parametrize("dtype", ("float32", "float64"))
@pytest.mark.parametrize("n", FEW)
def test_eigh(n, dtype):
    with jax.enable_x64(True):
        a = square(n, dtype)
        a = a + a.T
        both = ways(lambda a: tuple(jnp.linalg.eigh(a)), a)
    for values, vectors in both:
        close(vectors * values @ vectors.T, a)
        close(vectors.T @ vectors, np.eye(n), 16)
        close(values, np.linalg.eigvalsh(a))


def small_panels(monkeypatch):
    """Several stretches of panels, panels that are left over."""
    monkeypatch.setattr(blocked_qr, "PANEL", 4)
    monkeypatch.setattr(blocked_qr, "_STRETCH", 8)


def unusual(m, n):
    """Singular, graded, of equal and of vanishing values, with zeros on the diagonal, unknown."""
    low = RANDOM.normal(size=(m, 2)) @ RANDOM.normal(size=(2, n))
    shifted = np.eye(m, n, 1)
    shifted[m // 2] = 0
    graded = RANDOM.normal(size=(m, n)) * np.logspace(0, -20, m)[:, None]
    some = (low, shifted, graded, np.eye(m, n), np.zeros((m, n)), RANDOM.normal(size=(m, n)))
    return [a.astype(np.float32) for a in some]


def test_eigh_by_panels(monkeypatch):
    small_panels(monkeypatch)
    program = tilewright.compile(
        lambda a: tuple(jnp.linalg.eigh(a)), np.zeros((18, 18), np.float32)
    )
    for a in unusual(18, 18):
        a = a + a.T
        values, vectors = program(a)
        close(vectors * values @ vectors.T, a)
        close(vectors.T @ vectors, np.eye(18))
        close(values, np.linalg.eigvalsh(a.astype(np.float64)))
    for found in program(np.full((18, 18), np.nan, np.float32)):
        assert np.isnan(found).all()


@pytest.mark.parametrize("shape", [(17, 17), (12, 20)])
def test_svd_by_panels(monkeypatch, shape):
    small_panels(monkeypatch)

    def both(a):
        return *jnp.linalg.svd(a, full_matrices=False), jnp.linalg.svd(a, compute_uv=False)

    program = tilewright.compile(both, np.zeros(shape, np.float32))
    for a in unusual(*shape):
        left, values, right, alone = program(a)
        close(left * values @ right, a)
        close(left.T @ left, np.eye(left.shape[1]))
        close(right @ right.T, np.eye(right.shape[0]))
        close(values, np.linalg.svd(a.astype(np.float64))[1])
        np.testing.assert_array_equal(alone, values)
    for found in program(np.full(shape, np.nan, np.float32)):
        assert np.isnan(found).all()


def test_large_matrices_of_a_batch_are_done_one_by_one(monkeypatch):
    """To the bits of those that are done at once."""
    a = RANDOM.normal(size=(1, 3, 10, 10)).astype(np.float32)

    def both(a):
        return tuple(jnp.linalg.eigh(a)), jnp.linalg.svd(a, compute_uv=False)

    at_once = tilewright.compile(both, a)(a)
    monkeypatch.setattr(rules, "APART", 9)
    for found, expected in zip(
        jax.tree.leaves(tilewright.compile(both, a)(a)), jax.tree.leaves(at_once), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


def test_values_are_right_to_a_rounding_error_of_the_largest():
    """And vectors are as good as reflectors alone leave them."""
    a = RANDOM.normal(size=(72, 72)).astype(np.float32)
    eps = np.finfo(np.float32).eps
    values, vectors = tilewright.compile(jnp.linalg.eigh, a + a.T)(a + a.T)
    expected = np.linalg.eigvalsh((a + a.T).astype(np.float64))
    assert np.abs(values - expected).max() < 3 * eps * np.abs(expected).max()
    overlaps = vectors.T.astype(np.float64) @ vectors
    assert np.linalg.norm(overlaps - np.eye(72), 2) < 16 * eps
    values = tilewright.compile(lambda a: jnp.linalg.svd(a, compute_uv=False), a)(a)
    expected = np.linalg.svd(a.astype(np.float64))[1]
    assert np.abs(values - expected).max() < 3 * eps * expected[0]


def test_eigh_of_equal_and_of_no_eigenvalues():
    for a in (np.eye(4), np.ones((3, 3)), np.zeros((3, 3)), np.diag([3, 1, 2, 1])):
        for values, vectors in ways(lambda a: tuple(jnp.linalg.eigh(a)), a.astype(np.float32)):
            close(vectors * values @ vectors.T, a)
            close(vectors.T @ vectors, np.eye(len(a)))
    unknown = np.full((3, 3), np.nan, np.float32)
    for values, vectors in ways(lambda a: tuple(jnp.linalg.eigh(a)), unknown):
        assert np.isnan(values).all()
        assert np.isnan(vectors).all()


@pytest.mark.parametrize("full", (True, False))
@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (5, 5), (7, 4), (4, 7), (3, 1)])
def test_svd(shape, full):
    a = RANDOM.normal(size=shape).astype(np.float32)
    k = min(shape)
    for left, values, right in ways(lambda a: tuple(jnp.linalg.svd(a, full_matrices=full)), a):
        close(left[:, :k] * values @ right[:k], a)
        close(left.T @ left, np.eye(left.shape[1]))
        close(right @ right.T, np.eye(right.shape[0]))
        close(values, np.linalg.svd(a)[1])
    agree(lambda a: jnp.linalg.svd(a, compute_uv=False), a, absolute=1e-5)


def test_svd_of_singular_matrices():
    low = RANDOM.normal(size=(6, 2)) @ RANDOM.normal(size=(2, 5))
    for a in (np.zeros((3, 3)), np.ones((4, 3)), low, np.diag([1.0, 0, 1e-20])):
        a = a.astype(np.float32)
        k = min(a.shape)
        for left, values, right in ways(lambda a: tuple(jnp.linalg.svd(a)), a):
            close(left[:, :k] * values @ right[:k], a)
            close(left.T @ left, np.eye(left.shape[1]))
            close(right @ right.T, np.eye(right.shape[0]))


FACTORISATIONS = (
    jnp.linalg.qr,
    lambda a: jnp.linalg.qr(a, mode="complete"),
    lambda a: jnp.linalg.qr(a, mode="raw"),
    lambda a: tuple(jnp.linalg.svd(a)),
    lambda a: tuple(jnp.linalg.svd(a, full_matrices=False)),
    lambda a: jnp.linalg.svd(a, compute_uv=False),
    jax.lax.linalg.lu,
    jnp.linalg.pinv,
)
OF_SQUARES = (
    jnp.linalg.cholesky,
    jnp.linalg.det,
    jnp.linalg.inv,
    lambda a: tuple(jnp.linalg.eigh(a)),
    lambda a: jnp.linalg.solve(a, jnp.ones((*a.shape[:-1], 2))),
    jax.scipy.linalg.expm,
)


@pytest.mark.parametrize("shape", [(0, 0), (3, 0), (0, 3), (2, 3, 0), (0, 2, 3)])
def test_empty_matrices(shape):
    functions = FACTORISATIONS + OF_SQUARES if shape[-1] == shape[-2] else FACTORISATIONS
    agree(lambda a: [function(a) for function in functions], np.zeros(shape, np.float32))


def test_no_matrices_and_no_right_hand_sides():
    agree(lambda a: [f(a) for f in OF_SQUARES], np.zeros((0, 3, 3), np.float32))
    agree(lambda a: jnp.linalg.solve(a, jnp.ones((3, 0))), np.eye(3, dtype=np.float32))


def test_what_rests_on_them():
    a, b = RANDOM.normal(size=(6, 3)).astype(np.float32), np.arange(6, dtype=np.float32)
    agree(lambda a, b: jnp.linalg.lstsq(a, b)[0], a, b, absolute=1e-4)
    agree(lambda a: (jnp.linalg.pinv(a), jnp.linalg.norm(a, 2)), a, absolute=1e-5)
    agree(lambda a: jax.scipy.linalg.expm(a[:3]), a, absolute=1e-3)
    agree(jax.vmap(jnp.linalg.cholesky), np.stack([positive(3), positive(3)]), absolute=1e-5)
    agree(jax.grad(lambda a: jnp.linalg.eigvalsh(a)[0]), positive(4), absolute=1e-4)


@pytest.mark.parametrize(
    ("fn", "small"),
    [
        (jnp.linalg.cholesky, 8),
        (jnp.linalg.inv, 8),
        (jnp.linalg.eigh, qr.LARGE + 1),
        (jnp.linalg.qr, qr.LARGE + 1),
        (jnp.linalg.svd, qr.LARGE + 1),
    ],
)
def test_nodes_do_not_grow_with_size(fn, small):
    few, many = (count(trace(fn, np.eye(n, dtype=np.float32)).graph) for n in (small, 128))
    assert many <= few + 8 < 900


@pytest.mark.parametrize("batch", [(), (2, 3)])
def test_tridiagonal_systems(batch):
    diagonals = [RANDOM.normal(size=(*batch, 6)).astype(np.float32) for _ in range(3)]
    target = RANDOM.normal(size=(*batch, 6, 2)).astype(np.float32)
    agree(jax.lax.linalg.tridiagonal_solve, *diagonals, target, epsilons=512, absolute=1e-4)


def test_tridiagonal_systems_of_one_row_and_of_no_rank():
    zero, one = np.zeros(3, np.float32), np.ones((3, 1), np.float32)
    agree(jax.lax.linalg.tridiagonal_solve, zero, zero, zero, one)
    agree(jax.lax.linalg.tridiagonal_solve, zero[:1], one[0], zero[:1], one[:1])
    solve = partial(jax.lax.linalg.tridiagonal_solve, perturb_singular=True)
    with pytest.raises(UnsupportedError, match=r"tridiagonal_solve .*perturb_singular"):
        trace(solve, zero, zero, zero, one)


@pytest.mark.parametrize("left", (True, False))
@pytest.mark.parametrize("transpose", (True, False))
def test_products_with_reflectors(left, transpose):
    def product(a, c):
        reflectors, taus = jnp.linalg.qr(a, mode="raw")
        return jax.lax.linalg.ormqr(reflectors.mT, taus, c, left=left, transpose=transpose)

    a = RANDOM.normal(size=(2, 5, 3)).astype(np.float32)
    c = RANDOM.normal(size=(2, 5, 5)).astype(np.float32)
    agree(product, a, c, epsilons=64, absolute=1e-5)
