"""XLA's generator of random bits on a CPU: Philox-4x32 over a counter of 128 bits.

Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011. The key is the first two of
four words; the counter begins with the other two as its lower half and the key as its upper one, as
XLA has it. Each value of the counter gives four words, in order. Only the lower half moves on.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Array = jax.Array


def random_bits(
    key: Array, *, rounds: Callable[..., tuple[Array, ...]], shape: tuple[int, ...], dtype: np.dtype
) -> tuple[Array, Array]:
    """The key after these draws, uint32[4], and the draws, unsigned integers of any width.

    `rounds(k0, k1, x0, x1, x2, x3)` is the hash function, of arrays of words.
    """
    width = 8 * np.dtype(dtype).itemsize
    size = prod(shape)
    blocks = -(-size * max(width, 32) // 128)
    counter = _advanced(key, lax.iota(jnp.uint32, blocks))
    k0, k1 = (jnp.broadcast_to(word, (blocks,)) for word in key[:2])
    words = jnp.stack(rounds(k0, k1, *counter), axis=1).reshape(-1)
    if width == 64:
        low, high = words[0::2].astype(jnp.uint64), words[1::2].astype(jnp.uint64)
        words = low | (high << jnp.uint64(32))
    low = _advanced(key, jnp.full((), blocks, jnp.uint32))[:2]
    return jnp.stack([key[0], key[1], *low]), words[:size].astype(dtype).reshape(shape)


def _advanced(key: Array, steps: Array) -> tuple[Array, ...]:
    """The words of the counter after so many steps, least significant first."""
    words, carry = [], steps
    for start in (key[2], key[3], key[0], key[1]):
        word = start + carry
        carry = (word < carry).astype(jnp.uint32)
        words.append(word)
    return tuple(words)
