"""What is done to an image before a net reads it. It travels with weights: wrong answers of trained
nets come from another preprocessing more often than from anything else.

In: a Pillow image in RGB. Out: (size, size, 3) in 8 bits; `normalised` is part of the program.
The shorter side becomes `resize` (by the crop "squash": both sides do, whatever the aspect), then
the middle `size` x `size` is cut out. Imports no JAX.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
from PIL import Image

from tilewright.errors import ArgumentError
from tilewright.frozen import frozen

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pixels, as PyTorch's nets are given them."""
CENTER, SQUASH = CROPS = ("center", "squash")
MOST = 4096
"""Pixels of a side."""

Three = tuple[float, ...]


@frozen
class Preprocessing:
    """`size`: side of what the net reads, `resize`: the shorter side before the middle is cut out
    (both sides, where `crop` is "squash").

    `mean` and `std` are a channel's, of values from 0 to 1. How convolutions pad is a part of the
    net itself (`pad`).
    """

    size: int = 224
    resize: int = 256
    interpolation: str = "bicubic"
    mean: Three = IMAGENET_MEAN
    std: Three = IMAGENET_STD
    crop: str = CENTER

    def __post_init__(self) -> None:
        """Raises `ArgumentError` for what cannot be."""
        if not 1 <= self.size <= self.resize <= MOST:
            raise ArgumentError(
                f"size and resize must be from 1 to {MOST}, resize no smaller, not {self.size} and "
                f"{self.resize}."
            )
        if self.interpolation not in FILTERS:
            known = ", ".join(FILTERS)
            raise ArgumentError(
                f"interpolation must be one of {known}, not {self.interpolation!r}."
            )
        if self.crop not in CROPS:
            raise ArgumentError(f"crop must be one of {', '.join(CROPS)}, not {self.crop!r}.")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != 3 or not np.isfinite(values).all():
                raise ArgumentError(f"{name} must be three numbers, not {values!r}.")
        if min(self.std) <= 0:
            raise ArgumentError(f"std must be above 0, not {self.std!r}.")

    def at(self, size: int) -> Preprocessing:
        """The same for another size, with the same share cut away."""
        resize = round(size * self.resize / self.size)
        return replace(self, size=size, resize=max(size, resize))

    def pixels(self, image: Image.Image) -> np.ndarray:
        """(size, size, 3) of 8 bits."""
        return np.asarray(self.middle(image))

    def middle(self, image: Image.Image) -> Image.Image:
        """The part of the image that counts, resized in one step."""
        width, height = image.size
        share = self.size / self.resize
        wide, high = ((n if self.crop == SQUASH else min(image.size)) * share for n in image.size)
        left, top = (width - wide) / 2, (height - high) / 2
        box = (left, top, left + wide, top + high)
        return image.resize((self.size, self.size), FILTERS[self.interpolation], box=box)

    def normalised(self, images: Any) -> Any:
        """(..., size, size, 3) of 8 bits as the net reads them, float32, in NumPy or JAX."""
        scale = np.float32(1) / np.asarray(self.std, np.float32) / np.float32(255)
        shift = -np.asarray(self.mean, np.float32) / np.asarray(self.std, np.float32)
        return images.astype(np.float32) * scale + shift

    def fields(self) -> dict[str, Any]:
        """As JSON holds them; a usual crop is not told, as it was not before there were others:
        files, features and checkpoints of then are those of now."""
        found = asdict(self)
        if self.crop == CENTER:
            del found["crop"]
        return found


def from_fields(fields: dict[str, Any]) -> Preprocessing:
    """What `fields` gave. Raises `ArgumentError` or `TypeError`."""
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
    return Preprocessing(**given)
