"""The user's JAX settings hold for the user's functions, not for what is inlined in their place."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.trace.comparing import agree, native, trace
from tilewright.graph.text import to_text

X = np.linspace(0.5, 2, 6, dtype=np.float32).reshape(2, 3)
SQUARE = np.array([[2, 1, 0], [1, 3, 1], [0, 1, 4]], np.float32)
SETTINGS = {
    "rank promotion": lambda: jax.numpy_rank_promotion("raise"),
    "type promotion": lambda: jax.numpy_dtype_promotion("strict"),
    "NaN": lambda: jax.debug_nans(True),
    "infinities": lambda: jax.debug_infs(True),
    "products": lambda: jax.default_matmul_precision("bfloat16"),
    "no jit": lambda: jax.disable_jit(True),
}
INLINED = {
    "singular values": (lambda a: lax.linalg.svd(a, compute_uv=False), X),
    "eigenvalues": (lambda a: lax.linalg.eigh(a)[1], SQUARE),
    "factors": (lambda a: (lax.linalg.cholesky(a), lax.linalg.lu(a)), SQUARE),
    "orthogonal": (lax.linalg.qr, X),
    "substitution": (lambda a: lax.linalg.triangular_solve(a, a, left_side=True), SQUARE),
    "sums of exponentials": (lax.cumlogsumexp, X),
    "incomplete functions": (lambda x: (lax.igamma(x, x), lax.betainc(x, x, x / 3)), X),
    "series": (lambda x: (lax.zeta(x + 1, x), lax.bessel_i1e(x)), X),
    "keys": (lambda k: lax.rng_bit_generator(k, (3,)), np.arange(4, dtype=np.uint32)),
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_what_is_inlined_does_not_see(setting):
    for name, (function, argument) in INLINED.items():
        expected = to_text(trace(function, argument).graph, sources=False)
        with SETTINGS[setting]():
            assert to_text(trace(function, argument).graph, sources=False) == expected, name


def test_pseudo_inverses_where_ranks_may_not_be_promoted():
    with jax.numpy_rank_promotion("raise"):
        agree(jnp.linalg.pinv, X, absolute=1e-5)


def test_a_loop_where_jit_is_off():
    (compiled,) = native(lambda x: lax.while_loop(lambda x: x < 9, lambda x: 2 * x, x), 1.0)
    with jax.disable_jit(True):
        (found,) = native(lambda x: lax.while_loop(lambda x: x < 9, lambda x: 2 * x, x), 1.0)
    assert found == compiled


def test_bits_are_those_of_the_place_where_they_are_drawn():
    def drawn(key):
        with jax.threefry_partitionable(False):
            first = jax.random.bits(key, (5,))
        with jax.threefry_partitionable(True):
            return first, jax.random.bits(key, (5,))

    agree(drawn, jax.random.key(3))


def test_64_bits_where_only_the_function_has_them():
    def factor(a):
        with jax.enable_x64(True):
            wide = lax.convert_element_type(a, "float64")
            return lax.convert_element_type(lax.linalg.cholesky(wide), "float32")

    agree(factor, SQUARE, epsilons=4)
