"""Labelled images for a job: a folder, a table of paths, or the demonstration's own.

Out: items, labels, and perhaps groups or times (one an image), with what must be said about them.
Nothing is downloaded: photographs come from packages that are installed.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from dataclasses import field
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from tilewright.errors import ArgumentError
from tilewright.frozen import frozen
from tilewright.vision.columns import is_date
from tilewright.vision.sources import Item, labelled_folder

RUN = 60
"""Solar cells in a row that are taken for one group: a module has 60 or 72."""
FASHION = Path("/usr/share/dataset-fashion-mnist")
FASHION_NAMES = (
    "T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot",
)  # fmt: skip
FEW, SHAPES = 3000, 600


@frozen
class Data:
    """`caveats` are sentences for the page; `whole`: nothing is cut off at the rim."""

    source: str
    items: Sequence[Item] = field(repr=False)
    labels: np.ndarray = field(repr=False)
    groups: np.ndarray | None = field(default=None, repr=False)
    times: np.ndarray | None = field(default=None, repr=False)
    caveats: tuple[str, ...] = ()
    whole: bool = False


def of_folder(folder: Path) -> Data:
    """A folder of images for each class. Raises `ArgumentError`."""
    files, labels = labelled_folder(folder)
    return Data(str(folder), files, labels)


def of_table(path: Path) -> Data:
    """A CSV file with the columns path and label, and perhaps group or time.

    Paths are relative to the file. Raises `ArgumentError` that names the column or the row.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ArgumentError(f"{path} cannot be read as CSV: {error}.") from None
    if not rows:
        raise ArgumentError(f"{path} has no rows.")
    for name in ("path", "label"):
        if name not in rows[0]:
            raise ArgumentError(f"{path} has no column {name!r}.")
        empty = next((number for number, row in enumerate(rows, 2) if not row[name]), None)
        if empty is not None:
            raise ArgumentError(f"{path}, line {empty}: {name} is missing.")
    for name in ("group", "time"):
        short = next((n for n, row in enumerate(rows, 2) if not row.get(name, name)), None)
        if short is not None:
            raise ArgumentError(f"{path}, line {short}: {name} is missing.")
    columns = {
        name: np.array([row[name] for row in rows]) if name in rows[0] else None
        for name in ("label", "group", "time")
    }
    files = [path.parent / row["path"] for row in rows]
    assert columns["label"] is not None
    times = None if columns["time"] is None else _times(path, columns["time"])
    return Data(str(path), files, columns["label"], columns["group"], times)


def _times(path: Path, texts: np.ndarray) -> np.ndarray:
    for number, text in enumerate(texts, 2):
        if not is_date(text):
            raise ArgumentError(
                f"{path}, line {number}: {str(text)!r} is no time like 2024-03-01 or "
                "2024-03-01T12:00."
            )
    return texts.astype("datetime64[s]")


def demonstration() -> Data:
    """Solar cells where the package is installed, else Fashion-MNIST, else generated shapes."""
    return solar_cells() or fashion() or shapes()


def solar_cells() -> Data | None:
    """2,624 electroluminescence photographs of solar cells (Deitsch et al. 2019), CC BY-NC-SA 4.0,
    from the package elpv-dataset; None where it is not installed."""
    found = find_spec("elpv_dataset")
    if found is None or found.origin is None:
        return None
    home = Path(found.origin).parent / "data"
    rows = [line.split() for line in (home / "labels.csv").read_text().splitlines() if line.strip()]
    files = [home / row[0] for row in rows]
    labels = np.where([float(row[1]) > 0.5 for row in rows], "defective", "sound")
    return Data(
        "2,624 photographs of solar cells (elpv-dataset, CC BY-NC-SA 4.0)",
        files,
        labels,
        groups=np.arange(len(files)) // RUN,
        caveats=(
            "The labels do not name the modules that cells were cut from. Runs of "
            f"{RUN} files in a row are kept on one side of every split and counted as one witness; "
            "cells of one module may still be on both sides, and the scores a little too good.",
            "A cell counts as defective where experts found it more likely than not.",
        ),
        whole=True,
    )


def fashion(home: Path = FASHION) -> Data | None:
    """Fashion-MNIST (Xiao et al. 2017) as Debian's package installs it: the first few thousand."""
    images, labels = home / "train-images-idx3-ubyte.gz", home / "train-labels-idx1-ubyte.gz"
    if not (images.is_file() and labels.is_file()):
        return None
    with gzip.open(images) as file:
        pixels = np.frombuffer(file.read(16 + FEW * 784)[16:], np.uint8).reshape(-1, 28, 28)
    with gzip.open(labels) as file:
        numbers = np.frombuffer(file.read(8 + FEW)[8:], np.uint8)
    return Data(
        f"Fashion-MNIST, the first {len(pixels):,} images",
        list(pixels),
        np.array(FASHION_NAMES)[numbers],
        caveats=("Grey images of 28 × 28 pixels, enlarged: less than the net is made for.",),
        whole=True,
    )


def shapes(count: int = SHAPES, size: int = 64, seed: int = 0) -> Data:
    """Circles, squares and triangles of any size, place and colour on noise, drawn here."""
    rng = np.random.default_rng(seed)
    kinds = ("circle", "square", "triangle")
    numbers = rng.integers(0, 3, count)
    images = [_shape(kinds[number], size, rng) for number in numbers]
    return Data(
        f"{count:,} generated shapes",
        images,
        np.array(kinds)[numbers],
        caveats=(
            "The images are generated, as neither elpv-dataset nor Fashion-MNIST is installed: "
            "this shows how the job runs, not what a net is worth.",
        ),
        whole=True,
    )


def _shape(kind: str, size: int, rng: np.random.Generator) -> np.ndarray:
    """(size, size, 3) in 8 bits."""
    y, x = np.mgrid[:size, :size]
    radius = rng.uniform(0.15, 0.35) * size
    down, right = y - rng.uniform(0.35, 0.65) * size, x - rng.uniform(0.35, 0.65) * size
    inside = {
        "circle": down**2 + right**2 < radius**2,
        "square": np.maximum(abs(down), abs(right)) < 0.9 * radius,
        "triangle": (down < 0.8 * radius) & (down > 2 * abs(right) - 1.1 * radius),
    }[kind]
    ground = rng.uniform(40, 120, 3) + rng.normal(0, 25, (size, size, 3))
    return np.clip(
        np.where(inside[..., None], ground + rng.uniform(40, 110, 3), ground), 0, 255
    ).astype(np.uint8)
