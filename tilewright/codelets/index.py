"""Vertices whose positions are data."""

from tilewright.codelets.dynamic import DynamicSlice, DynamicUpdateSlice
from tilewright.codelets.gather import Gather
from tilewright.codelets.scatter import Scatter

__all__ = ["DynamicSlice", "DynamicUpdateSlice", "Gather", "Scatter"]
