"""Photographs in files, decoded and cut to size as part of a step of training.

They are solar cells, where the package elpv-dataset is installed, else pieces of the two
photographs that scikit-learn has (CC BY, K. Fukushima and "dann"), as JPEG files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

SIDE = 240
"""Pixels of a piece."""


@contextmanager
def loader(batch: int, size: int) -> Iterator[Any]:
    """A function that gives the next batch, (batch, size, size, 3) float32, ImageNet's scaling."""
    from tilewright.vision.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing

    prepared = Preprocessing(size, size)
    mean, std = (255 * np.asarray(each, np.float32) for each in (IMAGENET_MEAN, IMAGENET_STD))
    with TemporaryDirectory() as folder:
        files = cycle(_files(Path(folder)))

        def load() -> np.ndarray:
            pixels = np.stack([_read(next(files), prepared) for _ in range(batch)])
            return (pixels - mean) / std

        yield load


def source() -> str:
    """Which they are, in words."""
    from tilewright.vision.datasets import solar_cells

    return "photographs" if solar_cells() is None else "photographs of solar cells"


def _read(path: Path, prepared: Any) -> np.ndarray:
    from tilewright.vision import images

    return prepared.pixels(images.from_path(path))


def _files(folder: Path) -> Sequence[Path]:
    from tilewright.vision.datasets import solar_cells

    found = solar_cells()
    return _pieces(folder) if found is None else [Path(str(item)) for item in found.items]


def _pieces(folder: Path) -> list[Path]:
    """Of both photographs, overlapping."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    files = []
    for photograph in load_sample_images().images:
        high, wide, _ = photograph.shape
        for top in range(0, high - SIDE + 1, 60):
            for left in range(0, wide - SIDE + 1, 60):
                path = folder / f"{len(files)}.jpg"
                piece = photograph[top : top + SIDE, left : left + SIDE]
                Image.fromarray(piece).save(path, quality=90)
                files.append(path)
    return files
