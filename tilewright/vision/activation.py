"""Class activation maps (Zhou et al. 2016): where in an image its class was seen.

In: a model, images in 8 bits, a class each. Out: (n, h, w), what each place adds to the logit of
that class. The mean over places, and the shift, is the logit.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from tilewright.vision.answers import MAPS, answers
from tilewright.vision.model import Model

HOT = np.array([[13, 8, 135], [156, 23, 158], [237, 121, 83], [240, 249, 33]])
"""From nothing to most: four colours of matplotlib's map plasma."""


def activation_maps(
    model: Model, images: np.ndarray, classes: np.ndarray, machine: str = "native"
) -> np.ndarray:
    """(n, h, w) for images (n, size, size, 3) and classes (n,) by number."""
    maps = answers(model.net, model.preprocessing, MAPS, model.weights, model.kept, images, machine)
    kernel = np.asarray(model.weights.classes.kernel)[:, classes]
    return np.einsum("nhwc,cn->nhw", maps, kernel)


def overlaid(image: np.ndarray, heat: np.ndarray, most: float) -> Image.Image:
    """The image with what speaks for the class glowing on it; `most` glows fully."""
    size = image.shape[0]
    share = Image.fromarray(np.clip(heat / most, 0, 1).astype(np.float32))
    fine = np.asarray(share.resize((size, size), Image.Resampling.BICUBIC)).clip(0, 1)
    place = fine * (len(HOT) - 1)
    low = np.minimum(place.astype(int), len(HOT) - 2)
    part = (place - low)[..., None]
    colour = HOT[low] * (1 - part) + HOT[low + 1] * part
    weight = 0.65 * fine[..., None]
    return Image.fromarray((image * (1 - weight) + colour * weight).astype(np.uint8))
