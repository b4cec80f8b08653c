"""Eigenvectors by parts: laws of a secular equation's roots, of parts put together, of `eigh`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tests.trace.comparing import count, trace, ways
from tilewright.trace.decompose import divided, secular
from tilewright.trace.decompose import eigh as decomposed

EPS32, EPS64 = (float(np.finfo(dtype).eps) for dtype in (np.float32, np.float64))


def halves(random, n, spread):
    """Two unit vectors, the one after the other, of elements over so many powers of ten."""
    z = random.normal(size=n) * 10.0 ** -random.uniform(0, spread, n)
    return np.concatenate([half / np.linalg.norm(half) for half in np.split(z, 2)])


@jax.jit
def eigen(d, z, rho, count, order):
    return secular.eigen(d, z, rho, count, order)


@pytest.mark.parametrize("spread", (0, 3, 30))
@pytest.mark.parametrize("kind", ("apart", "equal", "clusters"))
def test_roots_and_vectors_of_a_dyad(kind, spread):
    """Values ascend; vectors are orthogonal to rounding, even of roots that hardly differ."""
    random, n = np.random.default_rng(spread), 60
    for seed in range(8):
        d = np.sort(random.normal(size=n) / 3 * 10.0 ** -random.uniform(0, spread, n))
        d = {"apart": d, "equal": np.ones(n), "clusters": np.repeat(d[:15], 4)}[kind]
        z, rho = halves(random, n, spread), 0.0 if seed == 0 else 10.0 ** -random.uniform(0, 10)
        with jax.enable_x64(True):
            found = eigen(d, z, rho, np.int32(n), np.arange(n, dtype=np.int32))
        values, vectors = map(np.asarray, found)
        matrix = np.diag(d) + rho * np.outer(z, z)
        assert (np.diff(values) > 0).all()
        assert np.abs(vectors.T @ vectors - np.eye(n)).max() < 64 * EPS64
        assert np.abs(matrix @ vectors - vectors * values).max() < n * secular.APART * 4


def test_what_is_beyond_a_matrix_changes_nothing_of_it():
    random, n, more = np.random.default_rng(0), 20, 12
    d, z = np.sort(random.normal(size=n)) / 3, halves(random, n, 0)
    places = np.arange(n + more, dtype=np.int32)
    order = np.concatenate([random.permutation(n), places[n:]]).astype(np.int32)
    with jax.enable_x64(True):
        alone, own = map(np.asarray, eigen(d, z, 0.5, np.int32(n), places[:n]))
        longer = np.pad(d, (0, more), constant_values=secular.BEYOND), np.pad(z, (0, more))
        values, vectors = map(np.asarray, eigen(*longer, 0.5, np.int32(n), order))
    np.testing.assert_array_equal(values[:n], alone)
    np.testing.assert_array_equal(vectors[order[:n], :n], own)


@pytest.mark.parametrize("n", (21, 41, 70, 333))
def test_parts_are_put_together(monkeypatch, n):
    """Of two parts, of many; of elements beside the diagonal of either sign, and of none."""
    monkeypatch.setattr(divided, "PART", 20)
    random = np.random.default_rng(n)
    program = jax.jit(divided.divided)
    d, e = random.normal(size=n), random.normal(size=n - 1)
    ones, graded = np.ones(n), np.logspace(0, -20, n)
    wilkinson = np.abs(np.arange(n) - n // 2)
    some = [(d, e), (2 * ones, ones[1:]), (wilkinson, -ones[1:]), (d * graded, e * graded[1:])]
    some += [(1e20 * d, 1e20 * e), (1e-20 * d, 1e-20 * e), (d, 0 * e), (0 * d, 0 * e)]
    for on, off in some:
        on, off = on.astype(np.float32), off.astype(np.float32)
        values, vectors = map(np.asarray, program(on, off))
        matrix = np.diag(on.astype(float)) + np.diag(off.astype(float), 1) + np.diag(off, -1)
        size = np.abs(matrix).max()
        assert values.dtype == vectors.dtype == np.float32
        assert np.abs(vectors.T.astype(float) @ vectors - np.eye(n)).max() < 2 * EPS32
        assert np.abs(np.sort(values) - np.linalg.eigvalsh(matrix)).max() <= 2 * EPS32 * size
        assert np.abs(matrix @ vectors - vectors * values).max() <= 4 * EPS32 * size
        assert (np.diff(values) >= 0).all()


def by_parts(monkeypatch):
    monkeypatch.setattr(divided, "PART", 12)
    monkeypatch.setattr(decomposed, "PART", 12)


@pytest.mark.parametrize("lower", (True, False))
def test_eigh_by_parts(monkeypatch, lower):
    """Of equal, vanishing and unknown values, too; one triangle is read."""
    by_parts(monkeypatch)
    random, n = np.random.default_rng(3), 30

    def eigh(a):
        return tuple(jax.lax.linalg.eigh(a, lower=lower, symmetrize_input=False))

    a = random.normal(size=(n, n)).astype(np.float32)
    low = a[:, :2] @ a[:, :2].T
    program = tilewright.compile(eigh, a)
    for matrix in (a + a.T, low, np.eye(n, dtype=np.float32), np.zeros((n, n), np.float32)):
        triangle = np.tri(n, dtype=bool)
        vectors, values = program(np.where(triangle if lower else triangle.T, matrix, 7))
        size = max(np.abs(matrix).max(), 1e-30)
        assert np.abs(vectors * values @ vectors.T - matrix).max() <= 32 * EPS32 * size
        assert np.abs(vectors.T @ vectors - np.eye(n)).max() < 16 * EPS32
        assert (np.diff(values) >= 0).all()
    for found in program(np.full((n, n), np.nan, np.float32)):
        assert np.isnan(found).all()


def test_both_executors_give_the_same_bits(monkeypatch):
    by_parts(monkeypatch)
    a = np.random.default_rng(4).normal(size=(13, 13)).astype(np.float32)
    for found, expected in zip(*ways(lambda a: tuple(jnp.linalg.eigh(a)), a + a.T), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_values_alone_are_not_sought_by_parts(monkeypatch):
    """They need no vectors so; and without parts there is no product of vectors to read."""
    a = np.eye(divided.PART + 1, dtype=np.float32)
    monkeypatch.setattr(decomposed, "divided", None)
    few = count(trace(jnp.linalg.eigvalsh, a).graph)
    monkeypatch.undo()
    assert few < count(trace(jnp.linalg.eigh, a).graph)


def test_nodes_do_not_grow_with_parts():
    def nodes(n):
        numbers = np.zeros(n, np.float32)
        return count(trace(divided.divided, numbers, numbers[1:]).graph)

    few = nodes(divided.PART + 1)
    assert nodes(4 * divided.PART) <= few + 8
    assert nodes(9 * divided.PART) <= few + 8
