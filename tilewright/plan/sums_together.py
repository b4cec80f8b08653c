"""Vertices over the same elements, some of which sum what others make, become one walk.

In: elementwise vertices and sums over one dimension, in running order; which views others read.
Out: `Together`, of which a run of elements at a time can be had. Always: the same bits; what nobody
else reads is not written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from tilewright.codelets.base import LANES
from tilewright.codelets.elementwise import Elementwise
from tilewright.codelets.expression import Expression, Instruction
from tilewright.codelets.reduce import Reduce, SumLanes
from tilewright.plan.ir import Buffer, Call, View
from tilewright.plan.views import whole, window

Read = tuple[str, int]
"""An input by number, or an instruction."""


@dataclass
class Together:
    """One expression, of what is read; its sums and where these go; what is stored, and where."""

    read: list[View] = field(default_factory=list)
    steps: list[Instruction] = field(default_factory=list)
    made: dict[View, Read] = field(default_factory=dict)
    sums: list[tuple[View, Read]] = field(default_factory=list)
    given: list[View] = field(default_factory=list)

    @classmethod
    def of(cls, calls: Sequence[Call], is_read: Callable[[Buffer], bool]) -> Together | None:
        """Of vertices that are all `Elementwise` or sums; None if there is no sum, or several
        dtypes of them. `is_read` says whether anybody else does."""
        found = cls()
        for call in calls:
            found._take(call)
        dtypes = {view.dtype for view, _ in found.sums}
        if len(dtypes) != 1:
            return None
        found.given = [view for view in found.made if is_read(view.buffer)]
        return found

    def _take(self, call: Call) -> None:
        codelet, count = call.codelet, len(call.codelet.inputs)
        assert isinstance(codelet, Elementwise | Reduce)
        values = [self._value(view) for view in call.views[:count]]
        for step in codelet.expression.instructions:
            arguments = tuple(self._index(values[i]) for i in step.arguments)
            values.append(("step", len(self.steps)))
            self.steps.append(replace(step, arguments=arguments))
        results = [values[number] for number in codelet.expression.outputs]
        views = list(call.views[count : count + len(codelet.outputs)])
        if isinstance(codelet, Reduce):
            self.sums.append((views.pop(0), results.pop(0)))
        self.made |= dict(zip(views, results, strict=True))

    def _value(self, view: View) -> Read:
        if view in self.made:
            return self.made[view]
        if view not in self.read:
            self.read.append(view)
        return "input", self.read.index(view)

    def _index(self, value: Read) -> int:
        """For now, inputs count down from -1: how many there will be is known at the end."""
        kind, number = value
        return number if kind == "step" else -1 - number

    @property
    def expression(self) -> Expression:
        """Its inputs are `read`; its outputs are the sums' elements, then what is given."""
        count = len(self.read)

        def number(index: int) -> int:
            return index + count if index >= 0 else -1 - index

        steps = tuple(
            replace(step, arguments=tuple(map(number, step.arguments))) for step in self.steps
        )
        outputs = [*(value for _, value in self.sums), *(self.made[view] for view in self.given)]
        numbers = tuple(number(self._index(value)) for value in outputs)
        return Expression(tuple(view.dtype for view in self.read), steps, numbers)

    def lanes(self) -> View:
        """A place for the sums' lanes."""
        dtype, count = self.sums[0][0].dtype, len(self.sums)
        return whole(Buffer(dtype, count * LANES, "tile"), (count, LANES))

    def run(self, lanes: View, start: int, length: int, total: int) -> Call:
        """Elements from `start` on, of `total`."""
        read, given = (
            [window(view, (start,), (length,)) for view in views]
            for views in (self.read, self.given)
        )
        begins, ends = start == 0, start + length == total
        by, stored = (tuple(view.strides[0] for view in views) for views in (read, given))
        codelet = SumLanes(self.expression, len(self.sums), length, by, stored, begins, ends)
        sums = [view for view, _ in self.sums] if ends else [lanes]
        return Call(codelet, (*read, *([] if begins else [lanes]), *given, *sums))


def is_sum(call: Call, length: int) -> bool:
    """Whether a vertex sums so many elements, of one leaf, to one number."""
    codelet = call.codelet
    if not isinstance(codelet, Reduce) or codelet.kind != "sum":
        return False
    return (
        codelet.shape == (length,)
        and length <= codelet.leaf
        and codelet.axes == (0,)
        and codelet.dtype in ("float32", "float64")
        and not counts(codelet.expression)
    )


def counts(expression: Expression) -> bool:
    """Whether an expression asks for an element's number."""
    return any(step.op == "iota" for step in expression.instructions)
