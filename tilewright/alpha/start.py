"""Where a chain starts: a draw from the prior whose posterior density is finite.

In: a key, how a position is drawn, the log density. Out: a position. Where no try gives one, the
last is taken, and `diagnostics` says so of the chain that comes of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Array = Any

TRIES = 10
"""After the first."""


def finite_start(key: Array, draw: Callable[[Array], Any], density: Callable) -> Any:
    """`draw(key)`, unless its density is not finite: then the first of others whose is."""

    def unusable(carry: Any) -> Array:
        number, position = carry
        return (number < TRIES) & ~jnp.isfinite(density(position))

    def again(carry: Any) -> Any:
        number = carry[0] + 1
        return number, draw(jax.random.fold_in(key, number))

    return jax.lax.while_loop(unusable, again, (jnp.int32(0), draw(key)))[1]
