"""Movement becomes views, copies of one shape share a vertex, vertices get what they ask for."""

import numpy as np
import pytest

from tests.machines import eager
from tests.plan.scopes import scope_of
from tilewright.codelets.elementwise import Elementwise, Transpose
from tilewright.graph.evaluate import evaluate
from tilewright.graph.ir import Builder, Type
from tilewright.plan import views
from tilewright.plan.ir import Call, Spread, View
from tilewright.plan.scope import COPIES_AT_ONCE, Scope

X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def vertices(scope: Scope) -> list[Call]:
    assert all(isinstance(step, Call) for step in scope.steps)
    return [step for step in scope.steps if isinstance(step, Call)]


def read(view: View, buffer: np.ndarray) -> np.ndarray:
    strides = [s * buffer.itemsize for s in view.strides]
    return np.lib.stride_tricks.as_strided(buffer.reshape(-1)[view.offset :], view.shape, strides)


MOVES = {
    "broadcast": dict(shape=(5, 2, 3, 4), dimensions=(1, 2, 3)),
    "transpose": dict(permutation=(2, 0, 1)),
    "slice": dict(start=(0, 1, 0), limit=(2, 3, 4), stride=(1, 1, 2)),
    "reverse": dict(dimensions=(0, 2)),
    "reshape": dict(shape=(6, 4)),
}


@pytest.mark.parametrize("op", MOVES)
def test_movement_is_a_view_of_the_same_memory(op):
    b = Builder([Type("float32", X.shape)])
    moved = b.op(op, *b.inputs, **MOVES[op])
    graph = b.graph([moved])
    scope = scope_of(graph)
    view = scope.view(moved)
    assert view.buffer is scope.view(b.inputs[0]).buffer
    (expected,) = evaluate(graph, [X])
    np.testing.assert_array_equal(read(view, X), expected)
    assert scope.steps == []


def test_a_reshape_that_strides_cannot_say_is_a_copy():
    b = Builder([Type("float32", X.shape)])
    flat = b.op("reshape", b.op("transpose", *b.inputs, permutation=(2, 1, 0)), shape=(24,))
    scope = scope_of(b.graph([flat]))
    view = scope.view(flat)
    (copy,) = vertices(scope)
    assert copy.views[0].buffer is scope.view(b.inputs[0]).buffer
    assert copy.views[1].buffer is view.buffer
    assert scope.view(flat) is view, "once"


def test_a_constant_is_kept_by_the_plan():
    b = Builder()
    table = b.constant(X[:, :, ::2])
    scope = scope_of(b.graph([table]))
    view = scope.view(table)
    ((buffer, data),) = scope.plan.constants
    assert view == views.whole(buffer, (2, 3, 2))
    np.testing.assert_array_equal(data, X[:, :, ::2].ravel())


def test_copies_of_one_shape_share_vertices_and_others_do_not():
    scope = scope_of(Builder().graph([]))
    kinds = [Type("float32", (3,))] * (COPIES_AT_ONCE + 1)
    kinds += [Type("int32", (3,)), Type("float32", (0,)), Type("float32", (3, 1))]
    pairs = [(scope.new(kind), scope.new(kind)) for kind in kinds]
    scope.copy_all(pairs)
    calls = vertices(scope)
    assert sorted(len(call.views) // 2 for call in calls) == [1, 1, 1, COPIES_AT_ONCE]
    found = []
    for call in calls:
        half = len(call.views) // 2
        found += zip(call.views[:half], call.views[half:], strict=True)
    assert sorted(found, key=str) == sorted([p for p in pairs if p[0].size], key=str)


@pytest.mark.parametrize("shape", [(16, 9), (9, 16), (16, 3), (2, 3, 4)])
@pytest.mark.parametrize("turned", ["source", "target", "neither"])
def test_any_copy_copies(shape, turned):
    """By blocks that are turned in registers where one side lies by columns."""
    scope = scope_of(Builder().graph([]), parallel=True)
    order = tuple(reversed(range(len(shape))))
    kind = Type("float32", shape)

    def place(side: str) -> View:
        if turned != side:
            return scope.new(kind)
        return views.transpose(scope.new(Type("float32", shape[::-1])), order)

    source, target = place("source"), place("target")
    scope.copy(source, target)
    (call,) = vertices(scope)
    fits = len(shape) == 2 and min(shape) >= 8 and turned == "source"
    assert isinstance(call.codelet, Transpose if fits else Elementwise)
    data = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    operands = [np.zeros(op.shape, np.float32) for op in call.codelet.inputs]
    operands[0][...] = data.T if fits else data
    (result,) = call.codelet.meaning(*operands)
    np.testing.assert_array_equal(result.T if fits else result, data)


def test_nothing_is_copied_to_its_own_place():
    scope = scope_of(Builder().graph([]))
    view = scope.new(Type("float32", (9,)))
    scope.copy(view, view)
    empty = scope.new(Type("float32", (0,)))
    scope.copy(empty, scope.new(Type("float32", (0,))))
    assert scope.steps == []
    assert scope.dense(view) is view


def test_scratch_memory_is_a_buffer_of_its_own_for_every_vertex():
    b = Builder([Type("int32", (50,))])
    first = b.op("neg", *b.inputs)
    sorted_ = b.add("sort", [first], [first.type], dimension=0, keys=1)[0]
    again = b.add("sort", [b.op("neg", sorted_)], [first.type], dimension=0, keys=1)[0]
    scope = scope_of(b.graph([again]))
    scope.plan.lower_units(scope)
    sorts = [call for call in vertices(scope) if call.codelet.scratch]
    lent = [call.views[-1] for call in sorts]
    assert [view.size for view in lent] == [call.codelet.scratch for call in sorts]
    assert len({view.buffer for view in lent}) == len(sorts) == 2


@pytest.mark.parametrize("parallel", [True, False])
def test_large_vertices_are_dealt_out_where_all_tiles_are_at_hand(parallel):
    b = Builder([Type("float32", (640, 8))])
    result = b.op("exp", *b.inputs)
    scope = scope_of(b.graph([result]), parallel=parallel, machine=eager())
    scope.plan.lower_units(scope)
    assert any(isinstance(step, Spread) for step in scope.steps) == parallel
    spaces = {scope.view(result).buffer.space}
    assert spaces == {"shared" if parallel else "tile"}
