"""Features of images by a trained net: what its last layer reads, each image looked at once.

In: images in any form (`sources.py`) and a net. Out: (n, channels) float32, to be used as any other
features: by logistic regression here, by `alpha`'s regressors, by the user's own model. They are
kept by content, so the second time costs the reading of files alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tilewright.errors import ArgumentError
from tilewright.frozen import frozen
from tilewright.vision.answers import FEATURES, program_width
from tilewright.vision.errors import ImageError
from tilewright.vision.features_cache import FeaturesCache
from tilewright.vision.inputs import Recipe, stream
from tilewright.vision.loading import load
from tilewright.vision.model import Model
from tilewright.vision.sources import Item, content_of, items_of, name_of

RAISE, SKIP = ON_BAD = ("raise", "skip")
BLOCK = 64
"""Images between two writes to the cache."""


@frozen
class Extracted:
    """`rows` (good, channels) of the items `good` (indices); what is wrong with the others."""

    rows: np.ndarray
    good: np.ndarray
    bad: tuple[str, ...] = ()


def extract_features(
    X: Any,
    net: Any = "lite0",
    *,
    size: int | None = None,
    machine: str = "native",
    workers: int | None = None,
    cache: bool = True,
) -> np.ndarray:
    """Features (n, channels) of images X, a row for each in their order.

    X is a folder (its images sorted by name), paths, a data frame with a column of paths, or arrays
    (n, h, w[, channels]). `net` is what `load` takes, or a `Model`. `size`: side of the images in
    pixels, the net's own where it is not given. `workers`: processes that decode.

    Raises `ImageError` that names the first image that cannot be read.
    """
    model = load(net)
    model = model if size is None else model.at(size)
    items = items_of(X)
    if not items:
        raise ArgumentError("X holds no images.")
    return extracted(model, items, machine, workers, cache=cache).rows


def extracted(
    model: Model,
    items: Sequence[Item],
    machine: str = "native",
    workers: int | None = None,
    on_bad: str = RAISE,
    cache: bool = True,
    seen: Callable[[int, int], None] = lambda done, wanted: None,
) -> Extracted:
    """The same for a model, images that cannot be read left out if `on_bad` says so."""
    store = FeaturesCache(model.fingerprint) if cache else FeaturesCache("", None)
    contents, bad = _contents(items, on_bad)
    known = store.get(sorted({content for content in contents if content}))
    new = [i for i, content in enumerate(contents) if content and content not in known]
    first = list({contents[i]: i for i in reversed(new)}.values())[::-1]
    pixels = stream(items, ((0, i) for i in first), Recipe(model.preprocessing), workers)
    seen(0, len(first))
    for at in range(0, len(first), BLOCK):
        rows = _block(model, contents, first[at : at + BLOCK], pixels, on_bad, machine, bad)
        store.put(rows)
        known |= rows
        seen(min(at + BLOCK, len(first)), len(first))
    good = [i for i, content in enumerate(contents) if content in known]
    width = program_width(model.net, FEATURES)
    rows = np.stack([known[contents[i]] for i in good]) if good else np.empty((0, width), "f4")
    return Extracted(rows, np.array(good, int), tuple(bad))


def _contents(items: Sequence[Item], on_bad: str) -> tuple[list[str], list[str]]:
    """A digest for each item, empty for what cannot be read; and what is said of those."""
    found, bad = [], []
    for number, item in enumerate(items):
        try:
            found.append(content_of(item, name_of(item, number)))
        except ImageError as error:
            if on_bad == RAISE:
                raise
            bad.append(str(error))
            found.append("")
    return found, bad


def _block(
    model: Model,
    contents: Sequence[str],
    numbers: Sequence[int],
    pixels: Any,
    on_bad: str,
    machine: str,
    bad: list[str],
) -> dict[str, np.ndarray]:
    """Rows of some images, by their contents."""
    good, images = [], []
    for number in numbers:
        image = next(pixels)
        if isinstance(image, ImageError):
            if on_bad == RAISE:
                raise image
            bad.append(str(image))
        else:
            good.append(contents[number])
            images.append(image)
    if not good:
        return {}
    return dict(zip(good, model.features(np.stack(images), machine), strict=True))
