"""Vertices that go along an axis in order."""

from tilewright.codelets.argreduce import ArgReduce
from tilewright.codelets.cumulative import Cumulative
from tilewright.codelets.sort import Sort

__all__ = ["ArgReduce", "Cumulative", "Sort"]
