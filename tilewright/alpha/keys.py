"""Random keys: from a seed of 64 bits, always of the same generator.

JAX reads a seed as 32 bits unless it is told otherwise, and takes whatever generator the user has
set as default: neither may change a forecast.
"""

from __future__ import annotations

from typing import Any

import numpy as np

GENERATOR = "threefry2x32"


def root_key(seed: int) -> Any:
    """The key of a seed; up to 2^32 it is that of `jax.random.key`."""
    return from_data(np.array([seed >> 32, seed & 0xFFFFFFFF], np.uint32))


def from_data(data: Any) -> Any:
    """The key that `jax.random.key_data` showed as (2,) words."""
    import jax

    return jax.random.wrap_key_data(data, impl=GENERATOR)


def chain_keys(seed: int, chains: int) -> Any:
    """A key for each chain, (chains,)."""
    import jax

    return jax.random.split(root_key(seed), chains)
