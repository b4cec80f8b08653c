"""What a user of images may have got wrong; each message is one sentence."""

from __future__ import annotations

from tilewright.errors import ArgumentError


class ImageError(ArgumentError):
    """A file or an array that is no image we can use: it can be named, counted and skipped."""
