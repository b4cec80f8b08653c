"""A primitive without a row is inlined where it stands for a Python function of JAX operations."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.hijax import VJPHiPrimitive
from jax.extend.core import Primitive

from tests.trace.comparing import agree, native, trace
from tilewright.errors import UnsupportedError
from tilewright.graph.text import to_text

X = np.arange(3, dtype=np.float32)


def primitive(name, implementation=None, multiple=False):
    made = Primitive(name)
    made.multiple_results = multiple
    made.def_abstract_eval(lambda x, **_: [x, x] if multiple else x)
    if implementation is not None:
        made.def_impl(implementation)
    return made


def test_its_function_is_inlined_with_its_parameters():
    scaled = primitive("scaled", lambda x, *, by: jnp.where(x > 0, by * x, 0))
    both = primitive("both", lambda x: [jnp.sin(x), x + 1], multiple=True)
    (found,) = native(lambda x: scaled.bind(x, by=3), X)
    np.testing.assert_array_equal(found, 3 * X)
    _, found = native(lambda x: both.bind(scaled.bind(x, by=2)), X)
    np.testing.assert_array_equal(found, 2 * X + 1)


def test_inside_a_loop():
    doubled = primitive("doubled", lambda x: 2 * x)
    (found,) = native(lambda x: jax.lax.fori_loop(0, 3, lambda _, x: doubled.bind(x), x), X)
    np.testing.assert_array_equal(found, 8 * X)


def test_its_products_are_at_full_precision():
    """The user's default is for the user's own."""
    squared = primitive("squared", lambda x: jnp.outer(x, x) @ x)
    expected = to_text(trace(squared.bind, X).graph, sources=False)
    with jax.default_matmul_precision("bfloat16"):
        assert to_text(trace(squared.bind, X).graph, sources=False) == expected


def test_one_that_needs_values_says_so():
    counted = primitive("counted", lambda x: x + len(np.asarray(x)))
    with pytest.raises(UnsupportedError, match=r"counted of float32\[3\].*cannot be traced"):
        trace(counted.bind, X)


def test_one_without_a_function_or_that_only_calls_itself():
    with pytest.raises(UnsupportedError, match=r"bare of float32\[3\] is not supported"):
        trace(primitive("bare").bind, X)
    itself = Primitive("itself")
    itself.def_abstract_eval(lambda x: x)
    itself.def_impl(functools.partial(lambda p, x: jax.jit(p.bind)(x), itself))
    with pytest.raises(UnsupportedError, match=r"itself of float32\[3\] is not supported"):
        trace(itself.bind, X)


def test_what_jax_lowers_to_its_own_operations():
    sizes, groups = np.array([2, 1], np.int32), np.ones((2, 2, 3), np.float32)
    agree(jax.lax.ragged_dot, np.ones((3, 2), np.float32), groups, sizes)
    agree(jax.lax.linalg.cholesky_update, np.eye(3, dtype=np.float32), X, epsilons=8, absolute=1e-6)


def test_custom_batching():
    @jax.custom_batching.custom_vmap
    def halved(x):
        return x / 2

    halved.def_vmap(lambda size, batched, x: (x / 2 + 1, True))
    agree(lambda x: (halved(x), jax.vmap(halved)(x)), X)


def test_a_primitive_of_hijax_is_expanded():
    class Doubled(VJPHiPrimitive):
        def __init__(self, aval):
            self.in_avals, self.out_aval, self.params = (aval,), aval, {}
            super().__init__()

        def expand(self, x):
            return 2 * x

    def fn(x):
        return jax.lax.fori_loop(0, 3, lambda _, y: Doubled(jax.typeof(y))(y), x) + x

    (found,) = native(fn, X)
    np.testing.assert_array_equal(found, 9 * X)
