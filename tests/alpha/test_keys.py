"""Keys: all 64 bits of a seed count, and the user's default generator does not."""

import jax
import numpy as np
import pytest

from tilewright.alpha.keys import chain_keys, from_data, root_key


def words(key):
    return np.asarray(jax.random.key_data(key))


@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**32 - 1])
def test_small_seeds_are_those_of_jax(seed):
    np.testing.assert_array_equal(words(root_key(seed)), [0, seed])
    if seed < 2**31:
        np.testing.assert_array_equal(words(root_key(seed)), words(jax.random.key(seed)))


def test_large_seeds_do_not_alias():
    assert {tuple(words(root_key(s))) for s in (5, 2**32 + 5, 2**33 + 5)} == {
        (0, 5),
        (1, 5),
        (2, 5),
    }


def test_the_default_generator_changes_nothing():
    expected = words(chain_keys(3, 4))
    with jax.default_prng_impl("rbg"):
        np.testing.assert_array_equal(words(chain_keys(3, 4)), expected)
        np.testing.assert_array_equal(words(from_data(expected[0])), expected[0])
