"""A chain's coordinates: there and back, and the same posterior by the change of variables."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from tilewright.alpha.scale.coordinates import (
    at_position,
    coordinates_of,
    log_volume,
    position_of,
)
from tilewright.models import bnn

RNG = np.random.default_rng(0)
X = (RNG.normal(size=(300, 5)) @ RNG.normal(size=(5, 5))).astype(np.float32)
WEIGHT = (RNG.uniform(size=300) < 0.8).astype(np.float32)
COORDINATES = coordinates_of(jnp.asarray(X), jnp.asarray(WEIGHT))
FORMS = {
    "net": bnn.Form(5, "constant", "net", scale_hidden=(3,)),
    "linear": bnn.Form(5, "linear", "linear"),
    "two layers": bnn.Form(5, "net", "net", (4,), (3, 2)),
}


def position(form: bnn.Form) -> bnn.Position:
    start = bnn.initial(jax.random.key(1), form, False)
    rng = np.random.default_rng(2)
    return jax.tree.map(lambda z: z + np.float32(0.3) * rng.normal(size=z.shape).astype("f"), start)


@pytest.mark.parametrize("name", FORMS)
def test_there_and_back(name):
    at = position(FORMS[name])
    back = at_position(position_of(at, COORDINATES), COORDINATES)
    np.testing.assert_allclose(ravel_pytree(back)[0], ravel_pytree(at)[0], atol=2e-5)


def test_given_units_are_turned_as_well():
    rows = jnp.asarray(X)
    units = jnp.tanh(rows[:, :4])
    coordinates = coordinates_of(rows, jnp.asarray(WEIGHT), units)
    at = position(bnn.Form(5, "constant", bnn.UNITS, scale_hidden=(4,)))
    flat, back = ravel_pytree(at)
    there = position_of(at, coordinates)
    np.testing.assert_allclose(ravel_pytree(at_position(there, coordinates))[0], flat, atol=2e-5)
    jacobian = jax.jacfwd(lambda z: ravel_pytree(position_of(back(z), coordinates))[0])(flat)
    _, volume = np.linalg.slogdet(np.asarray(jacobian, np.float64))
    assert volume == pytest.approx(float(log_volume(at, coordinates)), abs=1e-3)


@pytest.mark.parametrize("name", FORMS)
def test_the_volume_is_that_of_the_map(name):
    """By the Jacobian of all coordinates."""
    flat, back = ravel_pytree(position(FORMS[name]))
    jacobian = jax.jacfwd(lambda z: ravel_pytree(position_of(back(z), COORDINATES))[0])(flat)
    _, volume = np.linalg.slogdet(np.asarray(jacobian, np.float64))
    assert volume == pytest.approx(float(log_volume(back(flat), COORDINATES)), abs=1e-3)


def test_directions_are_those_of_the_rows():
    turned = X @ np.asarray(COORDINATES.turn)
    moments = (turned * WEIGHT[:, None]).T @ turned / WEIGHT.sum()
    np.testing.assert_allclose(moments, np.diag(COORDINATES.spread), atol=1e-3)
    assert (np.diff(COORDINATES.scale.linear) > 0).all()  # more is known, the more the rows spread
    assert COORDINATES.scale.linear[0] > 0
    assert COORDINATES.scale.linear[-1] < 1


def test_a_net_and_the_linear_part_that_undoes_it_stay_apart():
    """Where the net is nearly linear, its weights move and what is forecast hardly does."""
    form = FORMS["net"]
    at = position(form)
    (layer,) = at.scale.layers
    small = bnn.Weights(0.1 * layer.W.values, jnp.zeros(()))
    at = at._replace(scale=at.scale._replace(layers=(layer._replace(W=small),)))
    assert at.scale.out is not None
    far = at._replace(
        scale=at.scale._replace(out=at.scale.out._replace(values=-3 * at.scale.out.values))
    )
    rows = X[WEIGHT > 0] / 3

    def log_scale(at):
        return np.asarray(bnn.heads(at, rows)[1])

    moved = np.std(log_scale(far) - log_scale(at))
    apart = np.std(
        log_scale(position_of(far, COORDINATES)) - log_scale(position_of(at, COORDINATES))
    )
    assert apart < 0.3 * moved
