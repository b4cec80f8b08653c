"""Convolutions and windows over images that lie NHWC: lanes are channels."""

from tilewright.codelets.convolution.filters import FilterGradient
from tilewright.codelets.convolution.images import Convolution
from tilewright.codelets.convolution.windows import Window, WindowScatter

__all__ = ["Convolution", "FilterGradient", "Window", "WindowScatter"]
