"""Vertices whose positions are data."""

from tilewright.codelets.index.dynamic import DynamicSlice, DynamicUpdateSlice
from tilewright.codelets.index.gather import Gather
from tilewright.codelets.index.scatter import Scatter

__all__ = ["DynamicSlice", "DynamicUpdateSlice", "Gather", "Scatter"]
