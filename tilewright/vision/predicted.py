"""The likeliest classes of images in files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tilewright.errors import ArgumentError
from tilewright.frozen import frozen
from tilewright.vision.errors import ImageError
from tilewright.vision.images import from_path
from tilewright.vision.model import Model
from tilewright.vision.sources import images_in

BATCH = 64
"""Images in memory at a time."""


@frozen
class Answer:
    """Classes and their probabilities, the likeliest first."""

    path: Path
    classes: tuple[tuple[str, float], ...]


def files_of(places: Sequence[Path]) -> list[Path]:
    """Files as they are named, and of folders the images in them, by name.

    Raises `ArgumentError` for a place that is none, or a folder without images.
    """
    found: list[Path] = []
    for place in places:
        if place.is_dir():
            inside = images_in(place)
            if not inside:
                raise ArgumentError(f"The folder {place} holds no images.")
            found += inside
        elif place.exists():
            found.append(place)
        else:
            raise ArgumentError(f"There is no file {place}.")
    return found


def predicted(
    model: Model, paths: Sequence[Path], top: int, skip: bool = False, machine: str = "native"
) -> tuple[list[Answer], list[str]]:
    """An answer for each image, and what was left out, in words.

    Raises `ImageError` for the first file that is no image, unless `skip`.
    """
    answers: list[Answer] = []
    left_out: list[str] = []
    for at in range(0, len(paths), BATCH):
        good, pixels = [], []
        for path in paths[at : at + BATCH]:
            try:
                pixels.append(model.preprocessing.pixels(from_path(path)))
                good.append(path)
            except ImageError as error:
                if not skip:
                    raise
                left_out.append(str(error))
        if good:
            shares = softmax(model.logits(np.stack(pixels), machine))
            answers += [_answer(model, p, row, top) for p, row in zip(good, shares, strict=True)]
    return answers, left_out


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities (n, classes) in float64."""
    powers = np.exp(np.float64(logits) - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _answer(model: Model, path: Path, shares: np.ndarray, top: int) -> Answer:
    likeliest = np.argsort(-shares, kind="stable")[:top]
    return Answer(path, tuple((model.label(i), float(shares[i])) for i in likeliest))
