"""Pruning to blocks while a net learns: what matters least goes, a little more each epoch.

In: parameters of a net, and what share of blocks shall be left. Out: the same, with zeros in the
place of the blocks of least magnitude (Han et al. 2015, by blocks). Matrices of the cells are
pruned, each by itself, that have 16 rows or more; a block is some rows of 16 columns, and its
magnitude the sum of its squares. The share falls from 1 as in Zhu & Gupta 2017, fast at first and
ever slower:

    left(t) = d + (1 - d) (1 - t)^3         t from 0 to 1 over the first epochs

What is gone stays gone: a block of zeros is recognised by being one, so a fit carries no masks, and
steps leave it where it is. Programs that run the net then skip it (see `graph/blocks.py`).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tilewright.graph.law import LANES
from tilewright.models.forecaster import Parameters

Array = Any


def left(density: Array, ramp: Array, epoch: Array) -> Array:
    """Share of blocks that are left in an epoch, numbered from 0, of a schedule of `ramp`."""
    behind = 1 - jnp.minimum(1.0, (epoch + 1) / ramp)
    return density + (1 - density) * behind**3


def pruned(parameters: Parameters, tall: int, share: Array) -> Parameters:
    """Without the least blocks of `tall` rows: that share of each matrix is left."""

    def thin(matrix: Array) -> Array:
        sizes = jnp.sum(_in_blocks(matrix, tall) ** 2, axis=(1, 3))
        ranked = jnp.sort(sizes.reshape(-1))
        gone = jnp.floor((1 - share) * len(ranked)).astype(jnp.int32)
        least = ranked[jnp.minimum(gone, len(ranked) - 1)]
        return _where(sizes >= least, matrix, tall)

    return _on_matrices(parameters, thin)


def kept(parameters: Parameters, like: Parameters, tall: int) -> Parameters:
    """The parameters with zeros where blocks of `like` are gone."""
    gone = [jnp.any(_in_blocks(m, tall) != 0, axis=(1, 3)) for m in _matrices(like)]
    there = iter(gone)
    return _on_matrices(parameters, lambda matrix: _where(next(there), matrix, tall))


def density(parameters: Parameters, tall: int) -> float:
    """Share of the blocks of all matrices that are pruned, that are left."""
    matrices = map(np.asarray, _matrices(parameters))
    blocks = [(_in_blocks(m, tall, np) != 0).any((1, 3)) for m in matrices]
    return sum(int(b.sum()) for b in blocks) / max(1, sum(b.size for b in blocks))


def _in_blocks(matrix: Array, tall: int, xp: Any = jnp) -> Array:
    """(k, n) as (rows of blocks, tall, columns of blocks, 16), zeros beyond the matrix."""
    k, n = matrix.shape
    rows, columns = -(-k // tall), -(-n // LANES)
    whole = xp.pad(matrix, ((0, rows * tall - k), (0, columns * LANES - n)))
    return whole.reshape(rows, tall, columns, LANES)


def _where(blocks: Array, matrix: Array, tall: int) -> Array:
    k, n = matrix.shape
    each = jnp.repeat(jnp.repeat(blocks, tall, axis=0), LANES, axis=1)
    return jnp.where(each[:k, :n], matrix, 0)


def _matrices(parameters: Parameters) -> list[Array]:
    return [leaf for leaf in jax.tree.leaves(parameters.net.layers) if _is_pruned(leaf)]


def _on_matrices(parameters: Parameters, change: Any) -> Parameters:
    """With all matrices that are pruned changed, in the order of `_matrices`."""
    layers = jax.tree.map(lambda a: change(a) if _is_pruned(a) else a, parameters.net.layers)
    return parameters._replace(net=parameters.net._replace(layers=layers))


def _is_pruned(leaf: Array) -> bool:
    return leaf.ndim == 2 and leaf.shape[0] >= LANES
