"""Fused elementwise expressions, and copies that turn arrays round."""

from tilewright.codelets.elementwise.codelet import Elementwise
from tilewright.codelets.elementwise.transpose import Transpose

__all__ = ["Elementwise", "Transpose"]
