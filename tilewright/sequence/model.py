"""`Model`: a recurrent net with its weights, and the programs that run it.

In: what `load` made of somebody's weights. Out: compiled windows. Weights are NumPy arrays in
float32, in the order of `models/recurrent.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tilewright.compiler import compile
from tilewright.errors import ArgumentError
from tilewright.models import recurrent
from tilewright.models.recurrent import Recurrent, Weights
from tilewright.runtime.executable import Executable


@dataclass(frozen=True, eq=False)
class Model:
    """What the net is, and its weights."""

    net: Recurrent
    weights: Weights

    def window(self, batch: int, steps: int, *, tiles: int | None = None) -> Executable:
        """A program from inputs (batch, steps, inputs), float32, to answers (batch, outputs).

        With a head on every step answers are (batch, steps, outputs). Every window starts from a
        zero state. Raises `ArgumentError` for sizes below one.
        """
        import jax

        for name, size in (("batch", batch), ("steps", steps)):
            if type(size) is not int or size < 1:
                raise ArgumentError(f"{name} must be a whole number above 0, not {size!r}.")
        inputs = jax.ShapeDtypeStruct((batch, steps, self.net.inputs), np.float32)
        run = partial(_window, self.net)
        return compile(run, self.weights, inputs, tiles=tiles).bind(self.weights)


def _window(net: Recurrent, weights: Weights, xs: Any) -> Any:
    return recurrent.window(net, weights, xs)
