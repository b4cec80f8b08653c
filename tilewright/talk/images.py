"""EfficientNet-B0 by batch, and its training step; rows are the bench's.

Real images are photographs in files, which every contender decodes by the same code in its step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tilewright.bench import image_steps, photographs
from tilewright.bench import images as bench
from tilewright.bench.record import Row
from tilewright.talk.figures import Point, measured
from tilewright.talk.installed import missing, no_gpu
from tilewright.talk.record import Outcome

BATCHES = (1, 2, 4, 8, 16, 32)
REAL = ", photographs"
QUICK = "B0, groups of 16"
TRAINED = {"B0": 170, QUICK: 50, "B0" + REAL: 60, QUICK + REAL: 60}
"""Seconds of each: JAX, which is asked once, takes two minutes to compile and to answer."""
SIZE, ROUNDS, STEPS = 224, 9, 5


def answers(batch: int) -> Outcome:
    """Images a second of each contender: any of the rows has the times of all."""
    rows = bench.answers("B0", batch, SIZE, ROUNDS)
    return _outcome(
        "images", f"batch {batch}", rows[0], batch, ("PyTorch", "ONNX Runtime", "OpenVINO")
    )


def training(name: str) -> Outcome:
    """The same of a step of gradient descent on a batch of 16, synthetic images or photographs."""
    if name.endswith(REAL):
        with photographs.loader(image_steps.TRAINED, SIZE) as load:
            rows = image_steps.training(
                name.removesuffix(REAL), image_steps.TRAINED, SIZE, STEPS, load
            )
    else:
        rows = image_steps.training(name, image_steps.TRAINED, SIZE, STEPS)
    return _outcome("training", name, rows[0], image_steps.TRAINED, ("PyTorch",))


def _outcome(workload: str, case: str, row: Row, batch: int, peers: Sequence[str]) -> Outcome:
    seconds: Mapping[str, Sequence[float]] = row.more["seconds"]
    points = (
        Point(case, name, measured(f"{workload}: {case}", taken, "images/s", batch),
              {"ms a batch": float(measured("-", taken, "ms").value)})
        for name, taken in seconds.items()
        if np.isfinite(taken).any()
    )  # fmt: skip
    return Outcome(workload, tuple(points), missing(*peers) | no_gpu())
