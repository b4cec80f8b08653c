"""Random bits are JAX's own, whatever the setting of `jax_threefry_partitionable`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tilewright
from tests.trace.comparing import agree
from tilewright.errors import ArgumentError, UnsupportedError
from tilewright.trace import trace

KEY = jax.random.key(7)


@pytest.fixture(params=(True, False))
def partitionable(request):
    with jax.threefry_partitionable(request.param):
        yield request.param


both_ways = pytest.mark.usefixtures("partitionable")
"""For the default generator, and for what splits keys as it does."""


@both_ways
def test_keys():
    agree(lambda k: jax.random.split(k, 5), KEY)
    agree(lambda k: jax.random.split(k, (2, 3)), KEY)
    agree(lambda k, i: (jax.random.fold_in(k, i), jax.random.fold_in(k, 3)), KEY, 11)
    agree(lambda i: (jax.random.key(i), jax.random.PRNGKey(3)), 123)
    agree(jax.vmap(lambda k: jax.random.split(k)), jax.random.split(KEY, 3))
    agree(jax.vmap(jax.random.fold_in), jax.random.split(KEY, 3), jnp.arange(3))
    agree(jax.vmap(jax.random.fold_in, (None, 0)), KEY, jnp.arange(3))
    agree(lambda k: (jax.random.key_data(k), jax.random.clone(k)), KEY)
    agree(lambda words: jax.random.wrap_key_data(words), np.array([1, 2], np.uint32))


@both_ways
@pytest.mark.parametrize("dtype", ("uint8", "uint16", "uint32"))
def test_bits(dtype):
    agree(lambda k: [jax.random.bits(k, shape, dtype) for shape in ((), (3,), (2, 5))], KEY)
    agree(jax.vmap(lambda k: jax.random.bits(k, (3,), dtype)), jax.random.split(KEY, 2))


@both_ways
def test_sixty_four_bits():
    with jax.enable_x64(True):
        agree(lambda k: jax.random.bits(k, (3,), "uint64"), KEY)
        agree(lambda k: (jax.random.uniform(k, (3,)), jax.random.key(2**40 + 3)), KEY)


@both_ways
def test_exact_distributions():
    agree(lambda k: (jax.random.uniform(k, (3,)), jax.random.randint(k, (4,), -3, 100)), KEY)
    agree(lambda k: (jax.random.bernoulli(k, 0.3, (9,)), jax.random.permutation(k, 10)), KEY)
    agree(lambda k: jax.random.choice(k, 10, (4,), replace=False), KEY)
    agree(
        lambda k: (jax.random.rademacher(k, (5,)), jax.random.uniform(k, (3,), jnp.bfloat16)), KEY
    )


@both_ways
def test_rounded_distributions():
    draws = (jax.random.normal, jax.random.exponential, jax.random.laplace, jax.random.gumbel)
    agree(lambda k: [draw(k, (7,)) for draw in draws], KEY, epsilons=32, absolute=1e-6)
    agree(lambda k: jax.random.truncated_normal(k, -1, 2, (5,)), KEY, epsilons=32)
    agree(lambda k: jax.random.multivariate_normal(k, jnp.zeros(2), jnp.eye(2)), KEY, epsilons=32)
    agree(lambda k: jax.random.categorical(k, jnp.log(jnp.array([0.2, 0.5, 0.3])), shape=(9,)), KEY)


def test_distributions_by_rejection():
    alpha = jnp.array([0.3, 4.5])

    def draws(key):
        return (
            jax.random.gamma(key, alpha),
            jax.random.loggamma(key, alpha),
            jax.random.t(key, 2.2, (2,)),
            jax.random.dirichlet(key, alpha),
            jax.random.poisson(key, 3.0, (2,)),
        )

    agree(draws, KEY, epsilons=64, absolute=1e-5)


@both_ways
def test_legacy_keys():
    key = jax.random.PRNGKey(3)
    agree(lambda k: (jax.random.split(k), jax.random.uniform(k, (2,))), key)


@both_ways
def test_keys_in_control_flow():
    def step(key, _):
        key, use = jax.random.split(key)
        return key, jax.random.uniform(use)

    agree(lambda k: jax.lax.scan(step, k, None, length=4), KEY)
    agree(lambda k: jax.lax.fori_loop(0, 3, lambda i, k: jax.random.fold_in(k, i), k), KEY)
    agree(
        lambda k: jax.lax.cond(k[0] == k[1], lambda k: k[0], lambda k: k[1], k),
        jnp.stack([KEY, KEY]),
    )


@both_ways
def test_a_key_in_a_closure_is_data():
    def draw(x):
        return x + jax.random.uniform(KEY, (3,))

    assert [c.tolist() for c in trace(draw, 1.0).constants] == [[0, 7]]
    agree(draw, 1.0)


def test_keys_are_equal_in_both_their_words():
    words = np.array([[1, 2], [1, 3], [4, 2], [4, 3]], np.uint32)
    keys = jax.random.wrap_key_data(jnp.asarray(words), impl="threefry2x32")
    agree(lambda k: (k == k[0], k != k[0], k[0] == k[0], k[0] != k[3]), keys)


GENERATORS = ("philox2x32", "philox4x32", "threefry4x32", "rbg", "unsafe_rbg")


@pytest.mark.parametrize("name", GENERATORS)
def test_other_generators(name):
    key = jax.random.key(3, impl=name)

    def drawn(key):
        first, second = jax.random.split(key)
        keys = jnp.stack([first, jax.random.fold_in(second, 7), jax.random.key(5, impl=name)])
        each = jax.vmap(lambda k: jax.random.bits(k, (3,), "uint8"))(keys)
        return keys[1:].reshape(1, 2).T, each, keys == first, jax.random.uniform(key, (5,))

    agree(drawn, key)
    agree(lambda words: jax.random.wrap_key_data(words, impl=name), jax.random.key_data(key))


@both_ways
def test_generators_whose_keys_look_alike():
    """In one function; each splits, and folds in, in its own way, rbg as the default does."""

    def made(*keys):
        return [(jax.random.split(k), jax.random.fold_in(k, 7)) for k in keys]

    agree(made, jax.random.key(3, impl="rbg"), jax.random.key(3, impl="unsafe_rbg"))


@pytest.mark.parametrize("name", GENERATORS)
def test_raw_keys_of_the_default_generator(name):
    with jax.default_prng_impl(name):
        key = jax.random.PRNGKey(0)
        agree(lambda k: (jax.random.split(k), jax.random.bits(k, (9,))), key)


def test_loops_of_another_generator():
    key = jax.random.key(3, impl="philox4x32")
    agree(lambda k: jax.random.gamma(k, jnp.array([0.3, 4.5])), key, epsilons=64, absolute=1e-5)


@pytest.mark.parametrize("dtype", ("uint8", "uint16", "uint32", "uint64"))
def test_the_counter_of_xla_s_generator_carries(dtype):
    most = 2**32 - 1

    def drawn(key):
        return [jax.lax.rng_bit_generator(key, (n,), dtype) for n in (0, 1, 9)]

    with jax.enable_x64(True):
        for start in ((1, 2, 3, 4), (5, 6, most, 7), (5, most, most, most), (most,) * 4):
            agree(drawn, np.array(start, np.uint32))


def test_an_algorithm_of_xla_that_we_have_not_is_named():
    algorithm = jax.lax.RandomAlgorithm.RNG_THREE_FRY
    with pytest.raises(UnsupportedError, match=r"rng_bit_generator of .*THREE_FRY"):
        trace(
            lambda k: jax.lax.rng_bit_generator(k, (3,), algorithm=algorithm), np.ones(4, "uint32")
        )


def test_a_key_of_another_generator_is_refused_by_a_call():
    program = tilewright.compile(jax.random.bits, KEY)
    with pytest.raises(ArgumentError, match=r"keys of philox4x32, but was compiled for .*threefry"):
        program(jax.random.key(0, impl="philox4x32"))
