"""Where the time of one image goes: each step of the compiled net beside what limits it.

In: a model. Out: a row a superstep, in the order of the program: seconds on one core, and the least
that this machine could take for it (`machine/cost.py`). Measured a few times; of each, the fastest.
"""

from __future__ import annotations

import numpy as np

from tilewright.frozen import frozen
from tilewright.vision.model import Model
from tilewright.vision.nets import module

TURNS = 5
CONVOLUTION, PRODUCT, COPY, OTHER = KINDS = (
    "convolutions in groups or of several taps", "products (1 × 1)", "copies, borders", "the rest",
)  # fmt: skip
FIRST = {"conv": CONVOLUTION, "contract": PRODUCT, "copy": COPY}


@frozen
class LayerTime:
    """One superstep: its codelet's name, what kind of work it is, seconds, the least of them."""

    name: str
    kind: str
    seconds: float
    limit: float


def layer_times(model: Model, turns: int = TURNS) -> list[LayerTime]:
    """Of one image of the model's own size, on one core of this machine."""
    import tilewright
    from tilewright.plan.price import price_of

    size = model.preprocessing.size
    image = np.random.default_rng(0).integers(0, 256, (1, size, size, 3)).astype(np.uint8)
    program = tilewright.compile(
        lambda weights, kept, images: module(model.net).predict(
            model.net, weights, kept, model.preprocessing.normalised(images)
        ),
        model.weights, model.kept, image, tiles=1,
    ).bind(model.weights, model.kept)  # fmt: skip
    profiles = [program.profile(image) for _ in range(turns)]
    rows = []
    for parts in zip(*(profile.supersteps for profile in profiles), strict=True):
        steps, machine = parts[0].superstep.steps, profiles[0].machine
        least = price_of(steps, machine, 1).cycles * parts[0].runs / machine.chip.clock
        name = parts[0].superstep.mostly(machine)
        rows.append(LayerTime(name, _kind(name), min(part.work for part in parts), least))
    return rows


def _kind(name: str) -> str:
    return FIRST.get(name.partition("_")[0], OTHER)
