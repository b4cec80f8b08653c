"""Images: trained convolutional nets, as programs."""

from tilewright.vision.from_torch import efficientnet_weights

__all__ = ["efficientnet_weights"]
