"""What a user calls images: a folder, files, a data frame, arrays. Imports no JAX.

In: a folder (with a folder of images for each class), a sequence of paths, a data frame (pandas,
polars, arrow) with one column of paths, or arrays (n, h, w) or (n, h, w, channels), or a list of
arrays or Pillow images. Out: a list of items (paths and arrays), and labels where folders say them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tilewright.errors import ArgumentError
from tilewright.vision.errors import ImageError
from tilewright.vision.images import SUFFIXES, from_image

Item = Any
"""A path, an array, or an image of Pillow's."""


def items_of(X: Any) -> list[Item]:
    """One item an image. Raises `ArgumentError` for what holds no images."""
    if isinstance(X, str | Path):
        return list(images_in(_folder(X)))
    if isinstance(X, np.ndarray) and X.dtype.kind not in "OUS":
        return _of_array(X)
    if hasattr(X, "columns") or hasattr(X, "schema"):
        return _of_frame(X)
    if isinstance(X, Sequence | np.ndarray) or hasattr(X, "__iter__"):
        items = [Path(x) if isinstance(x, str) else x for x in X]
        for number, item in enumerate(items):
            if not (isinstance(item, Path) or hasattr(item, "shape") or hasattr(item, "convert")):
                raise ArgumentError(
                    f"X[{number}] must be a path, an array or an image, not {type(item).__name__}."
                )
        return items
    raise ArgumentError(
        "X must be a folder, paths, a data frame of paths, or arrays of images, not "
        f"{type(X).__name__}."
    )


def labelled_folder(folder: str | Path) -> tuple[list[Path], np.ndarray]:
    """Files and the names of the folders that they are in, one for each class.

    Raises `ArgumentError` for a folder without classes, for an empty class, and for a single one.
    """
    root = _folder(folder)
    classes = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not classes:
        raise ArgumentError(f"The folder {root} holds no folders: one for each class is needed.")
    found = {place.name: images_in(place) for place in classes}
    empty = next((name for name, files in found.items() if not files), None)
    if empty is not None:
        raise ArgumentError(f"The class {empty!r} in {root} holds no images.")
    if len(found) == 1:
        raise ArgumentError(f"The folder {root} holds one class, {classes[0].name!r}: 2 or more.")
    files = [path for paths in found.values() for path in paths]
    labels = [name for name, paths in found.items() for _ in paths]
    return files, np.array(labels)


def images_in(folder: Path) -> list[Path]:
    """Files whose names end like an image's, at any depth, sorted."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())


def name_of(item: Item, number: int) -> str:
    """What messages call it."""
    return str(item) if isinstance(item, Path) else f"image {number}"


def content_of(item: Item, name: str = "the image") -> str:
    """SHA-256 of what the item holds: a file's bytes, or an array's values, shape and type.

    Of Pillow's images it is that of the colours as they are read: numbers of a palette alone say
    nothing. Raises `ImageError` for what cannot be read.
    """
    if isinstance(item, Path):
        try:
            return hashlib.sha256(item.read_bytes()).hexdigest()
        except OSError as error:
            raise ImageError(f"{item} cannot be read: {error.strerror}.") from None
    if isinstance(item, Image.Image):
        item = from_image(item, name)
    array = np.ascontiguousarray(item)
    found = hashlib.sha256(f"{array.dtype} {array.shape}".encode())
    found.update(array.tobytes())
    return found.hexdigest()


def _folder(place: str | Path) -> Path:
    root = Path(place)
    if not root.is_dir():
        raise ArgumentError(f"There is no folder {root}.")
    return root


def _of_array(X: np.ndarray) -> list[Item]:
    if X.ndim not in (3, 4):
        shape = "x".join(map(str, X.shape))
        raise ArgumentError(f"X must be (n, h, w) or (n, h, w, channels), not {shape}.")
    return list(X)


def _of_frame(X: Any) -> list[Item]:
    """Of its one column, or the one named path."""
    import narwhals as nw

    frame = nw.from_native(X, eager_only=True)
    names = frame.columns
    column = "path" if "path" in names else names[0] if len(names) == 1 else None
    if column is None:
        raise ArgumentError(
            f"X must have one column of paths, or one named 'path', not {', '.join(names)}."
        )
    items = frame[column].to_list()
    for number, item in enumerate(items):
        if not isinstance(item, str | Path):
            raise ArgumentError(f"X has no path in row {number} of {column!r}, but {item!r}.")
    return [Path(item) for item in items]
