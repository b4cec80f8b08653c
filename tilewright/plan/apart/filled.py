"""What is filled with a constant is filled where it lies: each tile fills its own blocks.

In: a family of one instance that does nothing else. Out: the buffer, and its family of fills. An
index is no constant, as each block would begin to count anew.
"""

from __future__ import annotations

from dataclasses import replace

from tilewright.codelets.elementwise import Elementwise
from tilewright.codelets.expression import indexed_dimensions
from tilewright.plan.ir import Buffer, Call, Family, View, new_var


def filled_of(family: Family) -> Buffer | None:
    """The buffer that work of one tile fills with a constant; None: it does something else."""
    (step, *more), codelet = family.steps, getattr(family.steps[0], "codelet", None)
    if more or family.vars or not isinstance(codelet, Elementwise) or codelet.inputs:
        return None
    if indexed_dimensions(codelet.expression):
        return None
    assert isinstance(step, Call)
    (view,) = step.views
    full = view.size == view.buffer.size and view.buffer.masked is None
    return view.buffer if full and len(codelet.outputs) == 1 else None


def filled_in(home: Buffer, family: Family) -> Family:
    """The same at a buffer's home: an instance for each of its blocks."""
    assert home.homes is not None
    vars = tuple(new_var() for _ in home.homes.axes)
    steps = (step * home.block for step in home.homes.steps)
    view = View(home, (home.block,), (1,), 0, tuple(zip(vars, steps, strict=True)))
    (call,) = family.steps
    assert isinstance(call, Call)
    assert isinstance(call.codelet, Elementwise)
    one = replace(call.codelet, shape=view.shape, output_strides=(view.strides,))
    return Family(
        vars, home.homes.extents, home.homes, (replace(call, codelet=one, views=(view,)),)
    )
