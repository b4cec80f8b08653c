"""How lanes run along the channels of results, and what of an image each lane reads.

In: how an image (n, h, w, groups, in) lies, and a side (..., groups, in, out) or (..., groups, out)
whose last channels lanes run along. Out: vectors of the dtype that is multiplied in. Two ways:

    apart       lanes are the outputs of one group; all of them read the same element, broadcast
    together    a vector holds several whole groups, each lane reads its own group's element. That
                is for groups of few outputs, of which a depthwise convolution's, of one, are the
                narrowest. It wants the groups side by side in memory.

Always: both ways give the same bits.
"""

from __future__ import annotations

from tilewright.codelets.base import Operand
from tilewright.codelets.emit import vectors
from tilewright.codelets.emit.arithmetic import Arithmetic
from tilewright.codelets.emit.columns import Lanes
from tilewright.codelets.emit.llvm import MEMORY_TYPE, Function
from tilewright.codelets.emit.vectors import offset
from tilewright.frozen import frozen

MOST_INPUTS = 16
"""Input channels of a group up to which the code names each, and groups are taken together."""


@frozen
class Channels:
    """Of an image whose channels are `groups` times `inputs`, and of `outputs` a group.

    Elements of `dtype` are multiplied as `factors`, and the products summed by `arithmetic`.
    """

    dtype: str
    factors: str
    groups: int
    inputs: int
    outputs: int
    group_step: int
    input_step: int
    arithmetic: Arithmetic
    width: int
    together: bool

    @staticmethod
    def of(
        image: Operand,
        groups_and_outputs: list[tuple[int, int]],
        outputs: int,
        dtype: str,
        bits: int,
        factors: str | None = None,
    ) -> Channels:
        """`groups_and_outputs` are strides of these two in every side that lanes run along."""
        arithmetic = Arithmetic(dtype)
        groups, inputs = image.shape[-2:]
        width = arithmetic.lanes(bits)
        dense = all(is_together(group, output, outputs) for group, output in groups_and_outputs)
        together = (
            groups > 1 and outputs < width and width % outputs == 0
            and inputs <= MOST_INPUTS and dense
        )  # fmt: skip
        steps = image.strides[-2:]
        return Channels(
            image.dtype, factors or dtype, groups, inputs, outputs, steps[0], steps[1], arithmetic,
            width, together,
        )  # fmt: skip

    @property
    def columns(self) -> int:
        """Results side by side: of a group, or of all."""
        return self.groups * self.outputs if self.together else self.outputs

    def read(self, function: Function, place: str, lane: Lanes, channel: int) -> str:
        """What a vector of results reads of one position, of its groups' input `channel`."""
        if not self.together:
            where = offset(function, place, self.dtype, channel * self.input_step)
            scalar = vectors.load_scalar(function, self.dtype, where)
            scalar = vectors.widen(function, scalar, self.dtype, self.factors, 0)
            return vectors.splat(function, self._kind, lane.width, scalar)
        return self._spread(function, place, lane, channel)

    def _spread(self, function: Function, place: str, lane: Lanes, channel: int) -> str:
        """One element a group, in as many lanes as the group has outputs."""
        each = self.outputs
        first = lane.start // each * self.group_step
        if self.inputs == each and self.group_step == each and (each == 1 or self.input_step == 1):
            raw = self._load(function, place, first, 1, lane.width, lane.valid)
            picks = [i // each * each + channel for i in range(lane.width)]
        else:
            first += channel * self.input_step
            raw = self._load(
                function, place, first, self.group_step, lane.width, lane.valid // each
            )
            picks = [i // each for i in range(lane.width)]
        if picks == list(range(lane.width)):
            return raw
        return vectors.shuffle(function, self._kind, lane.width, raw, "poison", picks)

    def _load(
        self, function: Function, place: str, first: int, step: int, width: int, valid: int
    ) -> str:
        where = offset(function, place, self.dtype, first)
        raw = vectors.load(function, self.dtype, where, step, width, valid)
        return vectors.widen(function, raw, self.dtype, self.factors, width)

    @property
    def _kind(self) -> str:
        return MEMORY_TYPE[self.factors]


def is_together(group_step: int, output_step: int, outputs: int, apart: int = 1) -> bool:
    """Whether the outputs of all groups lie side by side, `apart` elements from one to the next."""
    return group_step == outputs * apart and (outputs == 1 or output_step == apart)


class Reading:
    """Vectors of an image, none of which is read twice in a stretch of code."""

    def __init__(self, function: Function, channels: Channels, place: str):
        self.function, self.channels, self.place = function, channels, place
        self.known: dict[tuple[int, int, Lanes], str] = {}

    def __call__(self, element: int, channel: int, lane: Lanes) -> str:
        """What `lane` reads `element` elements after the place."""
        if not self.channels.together:
            lane = Lanes(0, lane.width, lane.width)
        key = element, channel, lane
        if key not in self.known:
            where = offset(self.function, self.place, self.channels.dtype, element)
            self.known[key] = self.channels.read(self.function, where, lane, channel)
        return self.known[key]
