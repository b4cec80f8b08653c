"""What reads images, and what makes these, take them one by one, on one tile.

In: steps, before it is known where tiles wait. Out: the same, where neighbours are one `Spread`
over images: what writes the images of a convolution (with their borders), the convolutions that
read them, and the gradients of kernels over them; a product, sums over the places of each of its
images, what is made of these (squeeze-and-excite), and what that scales. Always: the same bits, as
a kernel's gradient is cut where the law's tree has a node (`graph/law.py`), and no other sum is
cut. What nobody reads afterwards has a place for one image on each tile.

An image is then read while it is near. Out of memory a depthwise convolution takes two to three
times as long: 16 x 112 x 112 x 96 places with a stride of 2 took 11.4 ms, images that are near 4.0,
and the gradient of its kernel 14.2 instead of 4.7 (Zen 4). What a batch norm sums over all images
still cuts a training step in two: see `run_by_run.py`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from tilewright.codelets.convolution import Convolution, FilterGradient
from tilewright.codelets.reduce import Reduce
from tilewright.machine.machine import Machine
from tilewright.plan.ir import Buffer, Call, Loop, Spread, Step, Var, View, new_var
from tilewright.plan.walks.items import LATER, Item, items_of, uses
from tilewright.plan.walks.over_images import OverImages
from tilewright.plan.walks.over_rows import rows_of

IMAGES_A_TILE = 4
"""Fewest images for each tile: whoever is slow leaves some of them to others."""
MATRICES = 4
"""How many times the bytes of matrices that every image reads those of an image have at least."""


def image_by_image(steps: Sequence[Step], machine: Machine) -> list[Step]:
    """Of a program for tiles that share memory."""
    return _joined(steps, machine, uses(steps, machine))


def _joined(steps: Sequence[Step], machine: Machine, uses: Counter[Buffer]) -> list[Step]:
    made: list[Step] = []
    read, met = dict(_images(steps)), dict(_gradients(steps))
    waiting = deque(items_of(steps, machine))
    while waiting:
        item = waiting.popleft()
        walk = _Walk.begun(item, read, met, machine)
        if walk is None:
            made += item.with_loops(lambda steps: _joined(steps, machine, uses))
            continue
        while waiting and walk.goes_on(waiting[0]):
            waiting.popleft()
        if not walk.is_worth_it:
            made += item.found
            waiting.extendleft(reversed(walk.others))
            continue
        made += [*(step for other in walk.before for step in other.found), *walk.steps(uses)]
        waiting.extendleft(reversed(walk.later))
    return made


def _images(steps: Sequence[Step]) -> Iterator[tuple[Buffer, int]]:
    """What convolutions read, and what is summed over each image; how many images it has."""
    for step in steps:
        match step:
            case Spread(whole=Call(Convolution() | FilterGradient(), views)):
                yield views[0].buffer, views[0].shape[0]
            case Spread(whole=Call(Reduce() as sums, views)) if sums.axes == (1, 2):
                yield from ((view.buffer, sums.shape[0]) for view in views[: len(sums.inputs)])
            case Spread() | Loop():
                yield from _images(step.steps)


def _gradients(steps: Sequence[Step]) -> Iterator[tuple[Buffer, Buffer]]:
    """Images, and what they meet in the gradient of a kernel."""
    for step in steps:
        match step:
            case Spread(whole=Call(FilterGradient(), (image, gradient, *_))):
                yield image.buffer, gradient.buffer
            case Spread() | Loop():
                yield from _gradients(step.steps)


def _member(item: Item, images: int = 0) -> OverImages | None:
    """Of one vertex, dealt out or not."""
    step = item.found[0]
    call = step.whole if isinstance(step, Spread) else step
    return OverImages.of(call, images) if isinstance(call, Call) else None


@dataclass
class _Walk:
    """Vertices that take images one by one, what comes before them, and what waits until they are
    done; `others` are all but the first, in order. `read` is what convolutions read, `met` what
    images meet in the gradient of a kernel."""

    read: dict[Buffer, int]
    met: dict[Buffer, Buffer]
    members: list[OverImages]
    items: list[Item]
    before: list[Item] = field(default_factory=list)
    later: list[Item] = field(default_factory=list)
    others: list[Item] = field(default_factory=list)

    @staticmethod
    def begun(
        item: Item, read: dict[Buffer, int], met: dict[Buffer, Buffer], machine: Machine
    ) -> _Walk | None:
        """By what writes images that a convolution reads, or that are summed; or by such sums."""
        member = _member(item, next((read[b] for b in item.written if b in read), 0))
        if member is None:
            return None
        if read.keys().isdisjoint(item.written) and not isinstance(member.codelet, Reduce):
            return None
        if member.images < IMAGES_A_TILE * machine.tiles or not _has_images(member):
            return None
        return _Walk(read, met, [member], [item])

    def goes_on(self, item: Item) -> bool:
        """Whether another item finds its place: in the walk, before it, or after it. What may begin
        another walk rather waits for its turn."""
        if self._takes(item):
            pass
        elif self.read.keys().isdisjoint(item.written) and item.may_pass(
            (*self.items, *self.later)
        ):
            self.before.append(item)
        elif len(self.later) < LATER and item.may_wait:
            self.later.append(item)
        else:
            return False
        self.others.append(item)
        return True

    def _takes(self, item: Item) -> bool:
        member = _member(item, self.members[0].images)
        if member is None or member.images != self.members[0].images or member.each > 1:
            return False  # sums over all images ride on products
        if any(item.conflicts(other) for other in self.later):
            return False
        if not _has_images(member) or not (self._shares_images(member) or self._is_met(item)):
            return False
        self.items.append(item)
        self.members.append(member)
        return True

    def _shares_images(self, member: OverImages) -> bool:
        """Whether images of what is touched before are images of what it touches, and some are."""
        shared = False
        for other in self.members:
            for view, axis, written in other.sides:
                for own, along, writes in member.sides:
                    if own.buffer is not view.buffer or not (written or writes):
                        continue
                    if rows_of(own, along) is None or rows_of(own, along) != rows_of(view, axis):
                        return False
                    shared = True
        return shared

    def _is_met(self, item: Item) -> bool:
        """Whether it makes images that meet what is made here, in the gradient of a kernel."""
        made = {buffer for other in self.items for buffer in other.written}
        new = made.isdisjoint(item.touched)
        return new and any(self.met.get(buffer) in made for buffer in item.written)

    @property
    def is_worth_it(self) -> bool:
        """Whether what is made here is read here as images, by what is large enough to be dealt
        out; and matrices that every image reads are small beside one."""
        made = {v.buffer for member in self.members for v, _, written in member.sides if written}
        reads = [
            member
            for item, member in zip(self.items, self.members, strict=True)
            if isinstance(item.found[0], Spread)
            and not made.isdisjoint(view.buffer for view in member.read)
        ]
        matrices = sum(member.matrix for member in self.members)
        images = sum(operand.nbytes for member in reads for operand in member.codelet.inputs)
        return bool(reads) and MATRICES * matrices <= images // self.members[0].images

    def steps(self, uses: Counter[Buffer]) -> list[Step]:
        """The spread over images, and what adds up parts of kernels' gradients."""
        var, calls, sums, own = new_var(), [], [], self._own(uses)
        for member in self.members:
            parts = member.parts()
            calls += member.calls(var, parts)
            if parts is not None:
                sums.append(member.added(parts))
        placed = (
            replace(call, views=tuple(_placed(view, own, var) for view in call.views))
            for call in calls
        )
        return [Spread(var, self.members[0].images, tuple(placed)), *sums]

    def _own(self, uses: Counter[Buffer]) -> dict[Buffer, Buffer]:
        """Of what is made here and nobody else touches, a place for an image in a tile's arena."""
        inside = Counter(buffer for item in self.items for buffer in item.touched)
        own: dict[Buffer, Buffer] = {}
        for view, axis, written in (side for member in self.members for side in member.sides):
            buffer, images = view.buffer, self.members[0].images
            if not written or axis is None or uses[buffer] > inside[buffer] or buffer in own:
                continue
            step = view.strides[axis]
            if buffer.space == "shared" and buffer.size == step * images and not view.moves:
                own[buffer] = Buffer(buffer.dtype, step, "tile")
        return own


def _placed(view: View, own: dict[Buffer, Buffer], var: Var) -> View:
    if view.buffer not in own:
        return view
    moves = tuple(move for move in view.moves if move[0] != var)
    return replace(view, buffer=own[view.buffer], moves=moves)


def _has_images(member: OverImages) -> bool:
    """Whether each image of what it writes is a stretch of memory of its own."""
    return all(
        rows_of(view, axis) is not None
        for view, axis, written in member.sides
        if written and axis is not None
    )
