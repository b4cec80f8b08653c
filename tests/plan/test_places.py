"""A value is written only where nothing lies that is still to be read."""

import numpy as np
import pytest

from tests.plan.scopes import scope_of
from tilewright.graph.ir import Builder, Graph, Type, Value
from tilewright.plan.ir import View
from tilewright.plan.places import CACHE_LINE, Places
from tilewright.plan.views import whole

KIND = Type("float32", (3, 4))


def at(places: Places, value: Value) -> Places:
    """When the unit that computes the value is at hand."""
    (places.now,) = (
        i
        for i, unit in enumerate(places.units)
        if any(value in node.outputs for node in unit.nodes)
    )
    return places


def three(last: str = "sum") -> tuple[Graph, list[Value]]:
    """Running sums of -x, and what reads -x after them: a sum, the caller, or nobody."""
    b = Builder([KIND])
    first = b.op("neg", *b.inputs)
    middle = b.op("cumulative", first, kind="sum", axis=0, reverse=False)
    later = b.op("cumulative", middle, kind="max", axis=1, reverse=False)
    outputs = [later]
    if last == "sum":
        outputs = [b.op("reduce", b.op("mul", first, later), kind="sum", axes=(0, 1))]
    if last == "caller":
        outputs = [later, first]
    return b.graph(outputs), [b.inputs[0], first, middle, later]


@pytest.mark.parametrize(("last", "free"), [("sum", False), ("caller", False), ("nobody", True)])
def test_memory_may_be_overwritten_by_its_last_reader_alone(last, free):
    graph, (_, first, middle, later) = three(last)
    places = scope_of(graph)
    for value in (first, middle, later):
        places.put(value, places.new(value.type))
    assert at(places, middle).may_overwrite(first) == free
    assert at(places, later).may_overwrite(middle)


def test_the_callers_memory_is_not_ours_unless_it_is_said_to_be():
    graph, (x, first, *_) = three()
    assert not at(scope_of(graph), first).may_overwrite(x)
    assert at(scope_of(graph, owned=[x]), first).may_overwrite(x)


def test_constants_are_not_overwritten():
    b = Builder()
    table = b.constant(np.arange(12, dtype=np.float32).reshape(3, 4))
    result = b.op("cumulative", table, kind="sum", axis=0, reverse=False)
    assert not at(scope_of(b.graph([result])), result).may_overwrite(table)


def test_what_is_read_twice_at_once_is_not_overwritten():
    b = Builder([Type("float32", (3, 3))])
    axes = dict(contract=((1,), (0,)), batch=((), ()))
    product = b.op("dot", *b.inputs, *b.inputs, **axes, dtype="float32")
    places = scope_of(b.graph([product]), owned=b.inputs)
    assert not at(places, product).may_overwrite(b.inputs[0])


def test_a_part_is_not_overwritten():
    """A view of less than the whole, or one with gaps."""
    b = Builder([KIND])
    first = b.op("neg", *b.inputs)
    row = b.op("slice", first, start=(1, 0), limit=(2, 4), stride=(1, 1))
    total = b.op("cumulative", row, kind="sum", axis=1, reverse=False)
    places = scope_of(b.graph([total]))
    places.put(first, places.new(KIND))
    assert not at(places, total).may_overwrite(row)


def test_a_wanted_place_is_taken_once_it_is_free():
    graph, (x, first, middle, later) = three("nobody")
    places = scope_of(graph, owned=[x])
    here = places.view(x)
    places.destinations = {first: here, later: here}
    assert at(places, middle).target(middle) != here, "nobody wants it there"
    assert at(places, first).free_destination(first) is None, "x is read by that unit itself"
    unit = places.units[places.now]
    assert places.free_destination(first, unit) == here, "element by element it may be"
    assert at(places, later).target(later) == here


def test_elementwise_units_read_only_the_elements_that_they_write():
    b = Builder([Type("float32", (4, 4))])
    turned = b.op("transpose", *b.inputs, permutation=(1, 0))
    result = b.op("add", *b.inputs, turned)
    places = at(scope_of(b.graph([result]), owned=b.inputs), result)
    places.destinations = {result: places.view(b.inputs[0])}
    assert places.free_destination(result, places.units[places.now]) is None


@pytest.mark.parametrize("dtype", ["float32", "float64", "bool"])
@pytest.mark.parametrize("columns", [1, 16, 17, 32, 1000])
def test_padded_rows_begin_on_lines_an_odd_number_of_them_apart(dtype, columns):
    places = scope_of(Builder().graph([]), padded=True)
    kind = Type(dtype, (5, columns))
    view = places.new(kind)
    line = CACHE_LINE // kind.numpy.itemsize
    lines, gap = divmod(view.strides[0], line)
    assert (gap, lines % 2, view.strides[1]) == (0, 1, 1)
    assert columns <= view.strides[0] < columns + 2 * line
    assert view.buffer.size == 5 * view.strides[0]
    assert places.new(Type(dtype, (columns,))).buffer.size == columns, "one row needs no room"
    dense = scope_of(Builder().graph([])).new(kind)
    assert dense == View(dense.buffer, (5, columns), (columns, 1))
    assert whole(dense.buffer, kind.shape) == dense
