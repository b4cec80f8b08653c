"""Products of one row over the same terms become one vertex, with what goes row by row over theirs.

In: steps, before buffers have places. Out: the same, where calls that wait for none of those
between them are one (`codelets/contract/side_by_side.py`), in the place of the last. Always: all
that it reads is written by then, and what it writes nobody read or wrote between.

Of a net's last layers, the gradients of the weights are such products, and the derivative of a
function of the layer before reads the matrix that one of them reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tilewright.codelets.contract import ContractOuter
from tilewright.codelets.contract.side_by_side import MOST, Rows, SideBySide, may_stand_beside
from tilewright.codelets.elementwise import Elementwise
from tilewright.plan.ir import Branch, Call, Loop, Map, Spread, Step, View, While


def side_by_side(steps: Sequence[Step]) -> tuple[Step, ...]:
    """For all bodies of a program."""
    steps = [_inside(step) for step in steps]
    done: list[Step] = []
    while steps:
        group = _Group.beginning(steps)
        if group is None:
            done.append(steps.pop(0))
        else:
            steps = group.steps()
    return tuple(done)


def _inside(step: Step) -> Step:
    if isinstance(step, Loop | Map | Spread | While):
        return replace(step, steps=side_by_side(step.steps))
    if isinstance(step, Branch):
        return replace(step, cases=tuple(map(side_by_side, step.cases)))
    return step


@dataclass
class _Group:
    """Calls that can be one: `products`, then perhaps `rows`; `passed` are those between them, and
    `rest` is what comes after."""

    products: list[Call]
    rows: Call | None = None
    passed: list[Call] = field(default_factory=list)
    rest: Sequence[Step] = ()

    @classmethod
    def beginning(cls, steps: Sequence[Step]) -> _Group | None:
        """The one that begins with the first of some steps, if there are more calls in it."""
        first = steps[0]
        if not isinstance(first, Call) or not _is_product(first):
            return None
        group, passed = cls([first], rest=steps[1:]), []
        for number, step in enumerate(steps[1:], 1):
            if not isinstance(step, Call):
                break
            if group._takes(step, passed):
                group._take(step)
                group.passed, group.rest = list(passed), steps[number + 1 :]
                if group.rows:
                    break
            else:
                passed.append(step)
                if any(_clash(member, step) for member in group.products):
                    break
        return group if len(group.products) > 1 or group.rows else None

    def _takes(self, call: Call, passed: Sequence[Call]) -> bool:
        members = self.products
        if any(_clash(member, call) for member in members):
            return False
        k = members[0].codelet.inputs[0].shape[-1]
        if _is_product(call):
            columns = sum(member.codelet.outputs[0].size for member in (*members, call))
            return call.codelet.inputs[0].shape[-1] == k and columns <= MOST
        rows = _rows(call)
        if rows is None or not rows.is_near or rows.shape[0] != k:
            return False
        matrices = [member.views[1] for member in members]
        return any(view in matrices for view in _read(call))

    def _take(self, call: Call) -> None:
        if _is_product(call):
            self.products.append(call)
        else:
            self.rows = call

    def steps(self) -> list[Step]:
        """The calls between, the one, and what comes after."""
        products = [m.codelet for m in self.products if isinstance(m.codelet, ContractOuter)]
        rows = _rows(self.rows) if self.rows else None
        members = [*self.products, *([self.rows] if self.rows else [])]
        views = [view for some in (_read, _written) for call in members for view in some(call)]
        one = Call(SideBySide(tuple(products), rows), tuple(views))
        return [*self.passed, one, *self.rest]


def _is_product(call: Call) -> bool:
    return isinstance(call.codelet, ContractOuter) and may_stand_beside(call.codelet)


def _rows(call: Call) -> Rows | None:
    """An elementwise vertex over a matrix, as what goes row by row."""
    codelet = call.codelet
    if not isinstance(codelet, Elementwise) or len(codelet.shape) != 2:
        return None
    height, width = codelet.shape
    return Rows(codelet.expression, (height, width), codelet.input_strides, codelet.output_strides)


def _read(call: Call) -> tuple[View, ...]:
    return call.views[: len(call.codelet.inputs)]


def _written(call: Call) -> tuple[View, ...]:
    """With scratch memory, if there is any."""
    return call.views[len(call.codelet.inputs) :]


def _clash(one: Call, other: Call) -> bool:
    """Whether one of two calls writes memory that the other touches."""
    touched = {view.buffer for view in other.views}
    written = {view.buffer for view in _written(other)}
    return any(view.buffer in touched for view in _written(one)) or any(
        view.buffer in written for view in _read(one)
    )
