"""Images: trained convolutional nets, as programs; and nets trained further.

    from tilewright.vision import ImageClassifier     a scikit-learn estimator
    from tilewright.vision import extract_features    what a net sees, for any other model
    from tilewright.vision import load, save          weights with their preprocessing, in and out
    from tilewright.vision import read_onnx           any convolutional net in ONNX, as a function

Names are loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = [
    "ImageClassifier",
    "ImageError",
    "Model",
    "Preprocessing",
    "efficientnet_weights",
    "extract_features",
    "load",
    "read_onnx",
    "save",
]

if TYPE_CHECKING:
    from tilewright.vision.classifier import ImageClassifier
    from tilewright.vision.errors import ImageError
    from tilewright.vision.features import extract_features
    from tilewright.vision.from_onnx import read_onnx
    from tilewright.vision.from_torch import efficientnet_weights
    from tilewright.vision.loading import load
    from tilewright.vision.model import Model
    from tilewright.vision.preprocessing import Preprocessing
    from tilewright.vision.saved import save

_HOME = {
    "ImageClassifier": "classifier",
    "ImageError": "errors",
    "Model": "model",
    "Preprocessing": "preprocessing",
    "efficientnet_weights": "from_torch",
    "extract_features": "features",
    "load": "loading",
    "read_onnx": "from_onnx",
    "save": "saved",
}


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'tilewright.vision' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"tilewright.vision.{_HOME[name]}"), name)
    globals()[name] = value
    return value
