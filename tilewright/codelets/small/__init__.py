"""Vertices of a few elements, written into the middle of a function, on registers."""

from tilewright.codelets.small.emit import emit_small, in_memory, is_small, small_work
from tilewright.codelets.small.places import MOST, InMemory, InRegister, Place

__all__ = [
    "MOST",
    "InMemory",
    "InRegister",
    "Place",
    "emit_small",
    "in_memory",
    "is_small",
    "small_work",
]
