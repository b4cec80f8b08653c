"""How a vertex may be dealt out in pieces: along which dimension of which argument.

A codelet states its `Cut`, or none. Always: no sum runs along a dimension that is cut, so that
pieces change no bit, however many there are.
"""

from __future__ import annotations

from tilewright.frozen import frozen
from tilewright.graph.law import LANES

ENOUGH_BATCHES = 8
"""Matrices of a batch, or images, from which on the vertex is cut between them."""


@frozen
class Cut:
    """`axes[i]` is the dimension of argument i that is cut, or None where it is read whole.

    `along_lanes`: vectors run along that dimension. `grain`: pieces are better not shorter. Of the
    argument `panels`, a step along the dimension stands for 16 of the cut. `windows[i]`: how far
    apart, and how long, is what argument i gives to each step of the cut.
    """

    length: int
    axes: tuple[int | None, ...]
    along_lanes: bool = False
    grain: int = 1
    panels: int | None = None
    windows: tuple[tuple[int, int], ...] = ()

    def share(self, argument: int, length: int, start: int = 0) -> tuple[int, int, int, int]:
        """Length, start, stride and reach of what an argument gives to steps of the cut."""
        if self.panels == argument:
            return -(-length // LANES), start // LANES, 1, 1
        stride, reach = self.windows[argument] if self.windows else (1, 1)
        return length, start, stride, reach


def over_images(
    images: int,
    height: int,
    taps: int,
    stride: int,
    dilation: int,
    beside: int = 0,
    made: int = 1,
) -> Cut:
    """Of what is read of images; then `beside` arguments that are read whole, and `made` that have
    an element for each output position."""
    whole = (None,) * beside
    if images >= ENOUGH_BATCHES:
        return Cut(images, (0, *whole, *(0,) * made))
    window = stride, max(0, (taps - 1) * dilation + 1)
    windows = (window, *((1, 1) for _ in range(beside + made)))
    return Cut(height, (1, *whole, *(1,) * made), windows=windows)
