"""Reductions, whole or down to nodes of the law's tree."""

from tilewright.codelets.reduce.codelet import Reduce
from tilewright.codelets.reduce.lanes import SumLanes
from tilewright.codelets.reduce.tree import Tree

__all__ = ["Reduce", "SumLanes", "Tree"]
