"""Weights for tests of nets, of the right shapes: drawing them by JAX compiles for each shape."""

from typing import Any

import jax
import numpy as np


def weights_of(start: Any, net: Any) -> Any:
    """Weights and statistics: what `start(net, key)` gives, but for the numbers."""
    rng = np.random.default_rng(0)

    def draw(like: Any) -> np.ndarray:
        if len(like.shape) < 2:
            return rng.uniform(0.5, 1.5, like.shape).astype(np.float32)
        spread = (2 / np.prod(like.shape[:-1])) ** 0.5
        return rng.normal(scale=spread, size=like.shape).astype(np.float32)

    return jax.tree.map(draw, jax.eval_shape(lambda: start(net, jax.random.key(0))))
