"""A tanh that may be approximate: JAX computes it exactly, compiled graphs need not.

Private to `force`; it is a primitive of its own so that it survives `vmap`, `jit` and `grad`.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from tilewright.trace import jax_internals as internals

Array = jax.Array

tanh_p = internals.new_primitive("approximate_tanh", jnp.tanh)
internals.define_derivative(tanh_p, lambda tangent, result, x: tangent * (1 - result * result))


def tanh(x: Array) -> Array:
    """tanh, with a relative error of up to 5e-5 where that is faster."""
    return tanh_p.bind(x)
