"""Answers of trained nets as compiled programs: logits, features before the last layer, or maps of
features before places are averaged.

In: a net, its weights, images in 8 bits. Out: a row of float32 an image. Always: an image has the
same bits alone or among others, so blocks of any size may be put together.

Images are independent: each is whole on one core, next to its own caches (`tile_map`), and cores
never wait for each other. A single image is spread over all cores instead.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError
from tilewright.vision.nets import Net, module
from tilewright.vision.preprocessing import Preprocessing

LOGITS, FEATURES, MAPS = "logits", "features", "maps"
BLOCK = 16
"""Images of a call, where there are more than one."""


def answers(
    net: Net,
    preprocessing: Preprocessing,
    what: str,
    weights: Any,
    kept: Any,
    images: Any,
    machine: str = "native",
) -> np.ndarray:
    """A row for each of `images`, (n, size, size, 3) in 8 bits.

    Raises `ArgumentError` for images of another shape or type.
    """
    images = np.asarray(images)
    size = preprocessing.size
    if images.dtype != np.uint8 or images.shape[1:] != (size, size, 3):
        found = "x".join(map(str, images.shape))
        raise ArgumentError(
            f"images must be uint8 of n x {size} x {size} x 3, as the net's preprocessing gives "
            f"them, not {images.dtype} of {found}."
        )
    block = 1 if len(images) == 1 else BLOCK
    program = _program(net, preprocessing, what, block, machine).bind(weights, kept)
    if not len(images):
        return np.empty((0, program_width(net, what)), np.float32)
    rows = [_rows(program, images[at : at + block], block) for at in range(0, len(images), block)]
    return np.concatenate(rows)


def program_width(net: Net, what: str) -> int:
    """Numbers in a row."""
    from tilewright.vision.nets import width

    return net.classes if what == LOGITS else width(net)


def _rows(program: Any, images: np.ndarray, block: int) -> np.ndarray:
    """Of a block that may not be full."""
    given = images
    if len(images) < block:
        given = np.zeros((block, *images.shape[1:]), np.uint8)
        given[: len(images)] = images
    return np.array(program(given))[: len(images)]


@lru_cache(maxsize=8)
def _program(net: Net, preprocessing: Preprocessing, what: str, block: int, machine: str) -> Any:
    import jax

    import tilewright
    from tilewright.vision.from_torch import shapes_of

    of, size = module(net), preprocessing.size

    def one(weights: Any, kept: Any, image: Any) -> Any:
        given = preprocessing.normalised(image)[None]
        if what == LOGITS:
            return of.predict(net, weights, kept, given)[0]
        return (of.maps if what == MAPS else of.features)(net, weights, kept, given)[0][0]

    weights, kept = shapes_of(net)
    images = jax.ShapeDtypeStruct((block, size, size, 3), np.uint8)
    if block == 1:
        return tilewright.compile(
            lambda weights, kept, images: one(weights, kept, images[0])[None],
            weights, kept, images, machine=machine,
        )  # fmt: skip
    return tilewright.compile(
        tilewright.tile_map(one, in_axes=(None, None, 0)), weights, kept, images, machine=machine
    )
