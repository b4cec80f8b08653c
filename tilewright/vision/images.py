"""Images from files and arrays, by rules that are stated here. Imports Pillow and NumPy alone.

In: a path, an array, or a Pillow image. Out: a Pillow image in RGB, 8 bits a channel.

    grey             the same in all three channels
    16 bits          divided by 257, so that white stays white; 32-bit integers if none is larger
    floating point   from 0 to 1, times 255
    transparent      laid on white
    palette, CMYK    converted by Pillow, without colour profiles
    rotated (EXIF)   turned upright
    animated         the first frame
    truncated        an `ImageError`, as is a file that is no image, or has over `MOST_PIXELS`

Arrays are (h, w), (h, w, 1), (h, w, 3) or (h, w, 4): bool, uint8, uint16 or floating point.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from tilewright.vision.errors import ImageError

MOST_PIXELS = 100_000_000
"""Of one image: 300 MB once it is decoded. A small file may claim any size."""
SUFFIXES = frozenset(".bmp .gif .jpeg .jpg .pbm .pgm .png .ppm .tif .tiff .webp".split())
"""Of files that are taken for images in a folder."""
WIDE = 257
"""Of 65,535 to 255."""


def read(source: Any, name: str = "") -> Image.Image:
    """The image of a path, array or Pillow image. Raises `ImageError`, which names it."""
    if isinstance(source, Image.Image):
        return from_image(source, name or "the image")
    if isinstance(source, str | Path):
        return from_path(Path(source))
    return from_array(np.asarray(source), name or "the array")


def from_path(path: Path) -> Image.Image:
    """Raises `ImageError` that names the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is odd and can still be read
            with Image.open(path) as image:
                _check_size(image, str(path))
                return upright(image, str(path))
    except FileNotFoundError:
        raise ImageError(f"There is no file {path}.") from None
    except UnidentifiedImageError:
        raise ImageError(f"{path} is not an image that can be read.") from None
    except Image.DecompressionBombError:
        raise ImageError(f"{path} has too many pixels: {MOST_PIXELS:,} are allowed.") from None
    except IsADirectoryError:
        raise ImageError(f"{path} is a folder, not an image.") from None
    except PermissionError:
        raise ImageError(f"{path} may not be read.") from None
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # decoders have no class of their own for what is broken
        raise ImageError(f"{path} is truncated or damaged: {_first(error)}.") from None


def from_image(image: Image.Image, name: str) -> Image.Image:
    """The same of an image that Pillow has opened, and may not have read yet."""
    _check_size(image, name)
    try:
        return upright(image, name)
    except (ImageError, MemoryError):
        raise
    except Exception as error:
        raise ImageError(f"{name} is truncated or damaged: {_first(error)}.") from None


def upright(image: Image.Image, name: str) -> Image.Image:
    """The first frame, turned as its EXIF data say, in RGB."""
    image.seek(0)
    return _rgb(ImageOps.exif_transpose(image), name)


def from_array(array: np.ndarray, name: str) -> Image.Image:
    """Raises `ImageError` for another shape or type, and for values out of range."""
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        held = f"has shape {array.shape}" if array.shape else "is a single number"
        raise ImageError(f"{name} {held}, not (h, w), (h, w, 1), (h, w, 3) or (h, w, 4).")
    if 0 in array.shape:
        raise ImageError(f"{name} has no pixels.")
    return _rgb(Image.fromarray(_eight_bits(array, name)), name)


def _eight_bits(array: np.ndarray, name: str) -> np.ndarray:
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if array.dtype == np.uint16:
        return _narrow(array)
    if array.dtype == bool:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind == "f":
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            if np.isnan(array).any():
                raise ImageError(f"{name} has values that are not numbers.")
            raise ImageError(
                f"{name} has values from {array.min():g} to {array.max():g}: floating point must "
                "be from 0 to 1."
            )
        return np.rint(array * 255).astype(np.uint8)
    raise ImageError(f"{name} is {array.dtype}, not bool, uint8, uint16 or floating point.")


def _rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode.startswith("I"):
        return Image.fromarray(_from_integers(np.asarray(image), name)).convert("RGB")
    if image.mode == "F":
        return Image.fromarray(_eight_bits(np.asarray(image), name)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")


def _from_integers(array: np.ndarray, name: str) -> np.ndarray:
    """Of 16 bits, or of 32 that need no more."""
    if array.min() < 0 or array.max() > 65535:
        raise ImageError(
            f"{name} has values from {array.min()} to {array.max()}: whole numbers must be from 0 "
            "to 65535."
        )
    return _narrow(array)


def _narrow(array: np.ndarray) -> np.ndarray:
    return ((array.astype(np.uint32) + WIDE // 2) // WIDE).astype(np.uint8)


def _check_size(image: Image.Image, name: str) -> None:
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise ImageError(
            f"{name} has {width:,} x {height:,} pixels: {MOST_PIXELS:,} in all are allowed."
        )


def _first(error: BaseException) -> str:
    """A decoder's words, as the end of a sentence."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")
