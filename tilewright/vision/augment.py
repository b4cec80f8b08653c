"""Random changes of an image that leave its class as it is. Imports no JAX.

In: a Pillow image in RGB. Out: (size, size, 3) in 8 bits. The same seed, epoch and image always
give the same, in any process and in any order.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageEnhance

from tilewright.checks import is_number
from tilewright.errors import ArgumentError
from tilewright.frozen import frozen
from tilewright.vision.preprocessing import FILTERS, Preprocessing

FLIPS = ("none", "horizontal", "both")
ASPECT = 4 / 3
"""The widest and, upside down, the narrowest part that is cut out."""


@frozen
class Augment:
    """`flip`: left and right ("horizontal"), or up and down as well ("both").

    `crop`: the least share of an image's area that is kept; 1 for the middle, as in answers.
    `colour`: brightness, contrast and saturation change by up to this share.
    """

    flip: str = "horizontal"
    crop: float = 0.6
    colour: float = 0.0

    def __post_init__(self) -> None:
        """Raises `ArgumentError` for what cannot be."""
        if self.flip not in FLIPS:
            raise ArgumentError(f"flip must be one of {', '.join(FLIPS)}, not {self.flip!r}.")
        for name in ("crop", "colour"):
            value = getattr(self, name)
            if not is_number(value):
                raise ArgumentError(f"{name} must be a number, not {value!r}.")
        if not 0 < self.crop <= 1:
            raise ArgumentError(f"crop must be above 0, and 1 at most, not {self.crop!r}.")
        if not 0 <= self.colour < 1:
            raise ArgumentError(f"colour must be 0 or more, and below 1, not {self.colour!r}.")

    def pixels(
        self, image: Image.Image, prepared: Preprocessing, rng: np.random.Generator
    ) -> np.ndarray:
        """One random version."""
        changed = self._flipped(self._cropped(image, prepared, rng), rng)
        if self.colour:
            for kind in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
                changed = kind(changed).enhance(1 + self.colour * rng.uniform(-1, 1))
        return np.asarray(changed)

    def _cropped(
        self, image: Image.Image, prepared: Preprocessing, rng: np.random.Generator
    ) -> Image.Image:
        """A part of random place, area and aspect (Szegedy et al. 2015), resized in one step."""
        if self.crop == 1:
            return prepared.middle(image)
        width, height = image.size
        area = rng.uniform(self.crop, 1) * width * height
        aspect = np.exp(rng.uniform(-1, 1) * np.log(ASPECT))
        wide = min(float(width), (area * aspect) ** 0.5)
        high = min(float(height), area / wide)
        left, top = rng.uniform(0, 1, 2) * (width - wide, height - high)
        # Rounding may leave the image by an ulp, and Pillow minds.
        box = (left, top, min(left + wide, width), min(top + high, height))
        return image.resize(
            (prepared.size, prepared.size), FILTERS[prepared.interpolation], box=box
        )

    def _flipped(self, image: Image.Image, rng: np.random.Generator) -> Image.Image:
        turns = rng.integers(0, 2, 2)
        if self.flip != "none" and turns[0]:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if self.flip == "both" and turns[1]:
            image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        return image


def generator(seed: int, epoch: int, number: int) -> np.random.Generator:
    """Of one image in one epoch."""
    return np.random.default_rng([seed, epoch, number])
