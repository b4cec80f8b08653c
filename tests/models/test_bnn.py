"""The density of both heads against scipy's distributions, and which parts a form has."""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from tilewright.models import bnn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 5)).astype(np.float32)
Y = RNG.standard_t(4, 30).astype(np.float32)
FULL = bnn.Form(5, "net", "net", (6, 4, 3), (2,), relevance=True)


def position(form: bnn.Form = FULL, known: bool = False, seed: int = 0) -> bnn.Position:
    """A start whose scales and constants are no medians."""
    start = bnn.initial(jax.random.key(seed), form, known)
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda z: z + np.float32(0.3) * rng.normal(size=z.shape).astype("f"), start)


def by_hand(at: bnn.Position, df: float | None) -> float:
    """Log posterior from scipy's distributions: of weights in their own units, of the rest."""
    features = X if at.relevance is None else X * np.exp(at.relevance)
    prior = scipy.stats.norm.logpdf(np.zeros(1) if at.relevance is None else at.relevance).sum()

    def weights(part: bnn.Weights, median: float) -> np.ndarray:
        nonlocal prior
        fan = part.values.shape[0]
        deviation = median * np.exp(part.log_scale) / np.sqrt(fan)
        found = np.asarray(part.values) * median * np.exp(part.log_scale / 2) / np.sqrt(fan)
        prior += scipy.stats.norm.logpdf(found, 0, deviation).sum()
        prior += found.size * part.log_scale / 2  # of the change of variables
        prior += scipy.stats.norm.logpdf(part.log_scale)
        return found

    def head(of: bnn.Head, medians: bnn.Prior):
        nonlocal prior
        prior += scipy.stats.norm.logpdf(of.constant)
        found = medians.constant + of.constant
        if of.linear is not None:
            found = found + features @ weights(of.linear, medians.linear)
        if of.out is not None:
            units = features
            for layer in of.layers:
                prior += scipy.stats.norm.logpdf(layer.b).sum()
                units = np.tanh(units @ weights(layer.W, medians.layer) + layer.b)
            found = found + units @ weights(of.out, medians.out)
        return found

    mean, scale = head(at.mean, bnn.MEAN), np.exp(head(at.scale, bnn.SCALE))
    if at.log_degrees is not None:
        prior += scipy.stats.norm.logpdf(at.log_degrees)
        df = 2 + 6 * float(np.exp(at.log_degrees))
    assert df is not None
    return float(scipy.stats.t.logpdf(Y, df, mean, scale).sum() + prior)


@pytest.mark.parametrize(
    ("form", "df"),
    [(FULL, None), (bnn.Form(5), 4.0), (bnn.Form(5, "linear", "linear"), 9.0),
     (bnn.Form(5, "constant", "net", scale_hidden=(3, 2)), None)],
    ids=str,
)  # fmt: skip
def test_density_differs_from_scipys_by_a_constant(form, df):
    density = jax.jit(bnn.log_density(X, Y, np.float32(df or 0)))
    gaps = []
    for seed in range(4):
        at = position(form, df is not None, seed)
        gaps.append(float(density(at)) - by_hand(at, df))
    np.testing.assert_allclose(gaps, gaps[0], atol=2e-3)  # of sums of about 100


def test_a_floor_of_the_scale_and_its_slopes():
    """In float64, by what `heads` says of the scale, derived by JAX."""
    form = bnn.Form(5, "linear", "linear")
    with jax.enable_x64(True):
        at = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), position(form))
        flat, back = jax.flatten_util.ravel_pytree(at)
        density = bnn.log_density(X.astype(np.float64), Y, np.float64(0), floor=0.3)

        def by_heads(flat):
            here = back(flat)
            mean, log_scale = bnn.heads(here, X.astype(np.float64), floor=0.3)
            df = bnn.degrees(here, np.float64(0))
            found = jax.scipy.stats.t.logpdf(Y, df, mean, jnp.exp(log_scale)).sum()
            return found + bnn.log_prior(here)

        @jax.jit
        def all_of_it(flat):
            return [jax.value_and_grad(f)(flat) for f in (lambda at: density(back(at)), by_heads)]

        (here, ours), (there, theirs) = all_of_it(flat)
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)
        (moved, _), (again, _) = all_of_it(flat + 0.01)
        np.testing.assert_allclose(moved - here, again - there, rtol=1e-9)


@pytest.mark.parametrize("kind", bnn.KINDS)
def test_a_head_has_the_parts_of_its_kind(kind):
    at = bnn.initial(jax.random.key(0), bnn.Form(5, kind, kind), True)
    for head in (at.mean, at.scale):
        assert (head.linear is None) == (kind == "constant")
        assert (head.out is None) == (kind != "net")
        assert len(head.layers) == (kind == "net")
    mean, log_scale = bnn.heads(at, X)
    assert mean.shape == log_scale.shape == (() if kind == "constant" else (30,))


def test_numpy_gives_the_same_heads():
    at = position()
    for ours, theirs in zip(
        bnn.heads(jax.tree.map(np.asarray, at), X, np), bnn.heads(at, X), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_a_feature_without_relevance_says_nothing():
    at = position()._replace(relevance=jnp.array([0.0, 0, 0, 0, -40]))
    moved = X.copy()
    moved[:, 4] += 1
    for ours, theirs in zip(bnn.heads(at, X), bnn.heads(at, moved), strict=True):
        np.testing.assert_array_equal(ours, theirs)
