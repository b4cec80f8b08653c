"""What a transformation of gradients computes, as a few letters: other code has other ones.

In: any transformation of optax's, and the net that it is for. Out: a mark of its start and its
steps as JAX traces them, the numbers in them included; where its code lies is not part of it.
"""

from __future__ import annotations

import hashlib
import re
from functools import partial
from typing import Any

import jax

from tilewright.models import forecaster
from tilewright.models.forecaster import Forecaster
from tilewright.sequence.checkpoint import digest

ADDRESS = re.compile(r"0x[0-9a-f]+")
LETTERS = 12


def mark_of(optimizer: Any, form: Forecaster) -> str:
    """Such as "optax 3f2a09c1be77"."""
    shapes = jax.eval_shape(partial(forecaster.initial, form), jax.random.key(0))

    def run(parameters: Any, gradient: Any) -> Any:
        state = optimizer.init(parameters)
        return state, optimizer.update(gradient, state, parameters)

    traced = jax.make_jaxpr(run)(shapes, shapes)
    text = ADDRESS.sub("", str(traced.jaxpr)) + digest(traced.consts)
    return f"optax {hashlib.sha256(text.encode()).hexdigest()[:LETTERS]}"
