"""`blocks`: weights of which only some blocks may differ from zero, said in the function itself.

It is a linear primitive of JAX's: its value is the matrix with zeros where the mask says so, its
tangent that of the tangent, and a gradient through it is masked the same way, so that what is
trained with it stays in its pattern. The mask is part of the program; the matrix is data.

Where the matrix is bound, or closed over, products skip the blocks that are zero, whoever made them
so (see `graph/blocks.py`); of an argument, those that the mask names, where they lie (see
`graph/declared.py`), if that pays.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tilewright.errors import ArgumentError
from tilewright.frozen import frozen
from tilewright.graph.law import LANES
from tilewright.graph.pattern import TALL
from tilewright.trace import jax_internals as internals

Array = jax.Array


@frozen
class Mask:
    """`kept` (rows, columns) as bytes, each for a block of `tall` x `wide` numbers of a matrix."""

    kept: bytes
    shape: tuple[int, int]
    tall: int
    wide: int

    @property
    def array(self) -> np.ndarray:
        """(rows, columns), bool."""
        return np.frombuffer(self.kept, bool).reshape(self.shape)


def blocks(W: Any, mask: Any) -> Array:
    """W (..., k, n) with zeros in all blocks that `mask` has no True for.

    `mask` is an array of bools, known when the function is traced: of W's last two dimensions, or
    of blocks of 16, 4 or 1 rows by 16 columns, (ceil(k / rows), ceil(n / 16)). W is used as
    `x @ blocks(W, mask)`, or (1, 1, k, n) as the kernel of a convolution: k is what is summed over.

    A product that skips blocks has the bits of the one with zeros as long as operands are finite:
    an infinity or a NaN of x that meets only blocks that are gone is not seen.

    Raises ArgumentError for a W that is no array, without two dimensions or of integers, a mask of
    another shape or dtype, and one that is not known.
    """
    try:
        W = jnp.asarray(W)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"blocks needs a matrix of floats: {error}") from None
    if W.ndim < 2 or not jnp.issubdtype(W.dtype, jnp.floating):
        raise ArgumentError(
            f"blocks needs a matrix of floats (..., k, n), not {W.dtype.name} of shape {W.shape}."
        )
    return blocks_p.bind(W, mask=_mask(W.shape[-2:], mask))


def _mask(shape: tuple[int, int], mask: Any) -> Mask:
    if isinstance(mask, jax.core.Tracer):
        raise ArgumentError(
            "blocks needs a mask that is known when the function is traced: a NumPy array."
        )
    try:
        kept = np.asarray(mask)
    except ValueError:
        raise ArgumentError("blocks needs a mask of rows that are equally long.") from None
    if kept.dtype != bool:
        raise ArgumentError(f"blocks needs a mask of bools, not of {kept.dtype}.")
    sizes = {shape: (1, 1)}
    for tall in TALL:
        sizes.setdefault((-(-shape[0] // tall), -(-shape[1] // LANES)), (tall, LANES))
    if kept.shape not in sizes:
        raise ArgumentError(
            f"blocks needs a mask of {', '.join(map(str, sizes))} for a matrix {shape}, "
            f"not {kept.shape}."
        )
    return Mask(kept.tobytes(), kept.shape, *sizes[kept.shape])


def masked(W: Array, mask: Mask) -> Array:
    """What the primitive means."""
    where = np.repeat(np.repeat(mask.array, mask.tall, 0), mask.wide, 1)
    return jnp.where(where[: W.shape[-2], : W.shape[-1]], W, jnp.zeros((), W.dtype))


blocks_p = internals.new_linear_primitive("blocks", masked)
