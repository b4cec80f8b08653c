"""The pin: the installed JAX is the series that the rules were written for, and has what we use."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import primitives

from tilewright.trace import jax_internals as internals
from tilewright.trace.rules import RULES

REFUSED = set(
    # distributed arrays
    "after_all all_gather all_to_all axis_index create_token ppermute "
    "ragged_all_to_all "
    # mutable arrays
    "get swap "
    # complex numbers
    "complex conj imag real eig fft "
    # the gradient of a window's extreme, scattered by a function of the user's
    "select_and_scatter "
    # rare
    "hessenberg schur tridiagonal "
    # gone before a jaxpr is made
    "custom_lin pjit remat".split()
)


def names():
    found = {getattr(primitives, name) for name in dir(primitives) if name.endswith("_p")}
    return {primitive.name for primitive in found}


def test_the_series():
    assert jax.__version__.startswith(internals.PINNED + ".")


def test_every_primitive_of_jax_has_a_row_or_is_refused():
    assert names() - set(RULES) - REFUSED == set()


def test_no_row_is_refused_too():
    assert not set(RULES) & REFUSED


def test_implementations_are_still_there():
    a, x = jnp.float32(2), jnp.float32(1)
    np.testing.assert_allclose(internals.igamma(a, x, dtype=jnp.float32), 0.26424, 1e-4)
    np.testing.assert_allclose(internals.betainc(a, a, x / 2, dtype=jnp.float32), 0.5, 1e-4)
    assert internals.gamma_sample(jax.random.key(0), a, log_space=False).shape == ()
    assert internals.is_key(jax.typeof(jax.random.key(0)))
    assert internals.key_shape(jax.typeof(jax.random.key(0))) == (2,)
    assert internals.key_shape(jax.typeof(a)) == ()
    assert internals.generator(jax.typeof(jax.random.key(0, impl="rbg"))) == "rbg"
    assert internals.key_words(jax.random.key(5)).tolist() == [0, 5]
    # what `runtime/arguments.py` reads of a key, as programs that are loaded have no tracer
    assert getattr(jax.random.key(5), "_base_array").tolist() == [0, 5]  # noqa: B009


def test_frames_lead_to_this_file():
    (equation,) = jax.make_jaxpr(lambda x: x + 1)(1.0).jaxpr.eqns
    assert __file__ in [file for file, _ in internals.frames(equation)]
