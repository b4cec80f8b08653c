"""Products on an A100 beside the bound of one [LLMCompass, real_hardware]: float16, (m, k, n)."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import numpy as np

import tilewright
from fidelity.row import Row
from tilewright.models import talk

A100 = {
    (64, 12288, 12288): 0.190,
    (1024, 12288, 12288): 1.199,
    (16384, 12288, 12288): 17.03,
    (8192, 512, 512): 0.0471,
    (8192, 4096, 4096): 1.021,
}
"""Milliseconds, from PyTorch's call of one product to the end of waiting for it."""
CALLED = 21e-6
"""Seconds of such a call that computes next to nothing [LLMCompass, hardware_model/
compute_module.py, of a product of 1 x 1]: what the publication's own models begin with."""
ROWS, LEAPFROGS, DRAWS, WINDOWS = 58_368, 1000, 800, 200


def rows() -> Iterator[Row]:
    for (m, k, n), published in A100.items():
        specs = [jax.ShapeDtypeStruct(s, np.float16) for s in ((m, k), (k, n))]
        found = tilewright.compare(lambda a, b: a @ b, *specs, machines=["gpu:a100"])
        seconds = found.rows[0].seconds[0] - found.rows[0].machine.launch + CALLED
        name = f"{m} × {k} × {n}, fp16"
        yield Row("A100", name, published, seconds * 1e3, 0.5, "ms", bound=True)
    seconds = _gradient() * LEAPFROGS * DRAWS * WINDOWS
    for cards, minutes in ((1, 42), (4, 14)):
        name = "the talk's 200 × 800 draws" + (f" on {cards}" if cards > 1 else "")
        yield Row("A100", name, minutes, seconds / 60 / cards, 1.0, "min", bound=True)


def _gradient() -> float:
    """Of the talk's net over all its rows, without the launch."""
    shapes = ((ROWS, 22), (ROWS,))

    def force(X, y):
        return jax.grad(talk.log_density(X, y))(talk.start())

    specs = [jax.ShapeDtypeStruct(s, np.float32) for s in shapes]
    row = tilewright.compare(force, *specs, machines=["gpu:a100"]).rows[0]
    return row.seconds[0] - row.machine.launch
