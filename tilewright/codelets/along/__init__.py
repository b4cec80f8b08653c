"""Vertices that go along an axis in order, one line of elements after the other."""

from tilewright.codelets.along.argreduce import ArgReduce
from tilewright.codelets.along.cumulative import Cumulative
from tilewright.codelets.along.sort import Sort

__all__ = ["ArgReduce", "Cumulative", "Sort"]
