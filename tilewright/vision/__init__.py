"""Images: trained convolutional nets, as programs; and nets trained further.

    from tilewright.vision import load               weights in, with their preprocessing
    from tilewright.vision import save               and out
    from tilewright.vision import efficientnet_weights    a state dict, for `models/efficientnet.py`

Names are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["ImageError", "Model", "Preprocessing", "efficientnet_weights", "load", "save"]

if TYPE_CHECKING:
    from tilewright.vision.errors import ImageError
    from tilewright.vision.from_torch import efficientnet_weights
    from tilewright.vision.load import load
    from tilewright.vision.model import Model
    from tilewright.vision.preprocessing import Preprocessing
    from tilewright.vision.saved import save

_HOME = {
    "ImageError": "errors",
    "Model": "model",
    "Preprocessing": "preprocessing",
    "efficientnet_weights": "from_torch",
    "load": "load",
    "save": "saved",
}


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'tilewright.vision' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"tilewright.vision.{_HOME[name]}"), name)
    globals()[name] = value
    return value
