"""Issue slots of a tile whose threads take turns, against figures that others published."""

import pytest

from tilewright.codelets.elementwise import Elementwise
from tilewright.codelets.expression import Expression, Instruction
from tilewright.machine import machine
from tilewright.machine.cost import Count
from tilewright.machine.granules import matrix_unit, product, threaded
from tilewright.plan.apart.slots import compiled, slots, vertex

GC200 = machine("ipu:gc200").tile


def test_streams_go_side_by_side_as_written_and_one_after_the_other_compiled():
    count = Count({}, {("add", "float32"): 20}, loads=160, stores=80)
    found = slots(count, GC200)
    assert (found.loads, found.arithmetic, found.stores) == (10, 10, 10)
    assert found.written == 10
    assert compiled(count, results=20, lanes=1) == 40 + 20 + 20 + 4 * 20
    assert compiled(count, results=10, lanes=2) == 20 + 10 + 10 + 4 * 10


@pytest.mark.parametrize(("units", "longest"), [(1, 6), (6, 1), (7, 12 / 7), (600, 1)])
def test_threads_take_whole_units(units, longest):
    assert threaded(100.0, units, GC200) == pytest.approx(100 * longest)


def test_a_products_unit_is_never_beaten_and_nearly_reached():
    unit = matrix_unit(GC200, "float32")
    assert unit is not None
    assert unit.macs == 16
    for m, n, k in [(6, 16, 8), (171, 171, 205), (2048, 64, 64)]:
        assert product(m, n, k, GC200, unit, "float32") > m * n * k / 16
    assert 2048 * 64 * 64 / 16 / product(2048, 64, 64, GC200, unit, "float32") > 0.95


def test_a_column_costs_as_much_as_the_units_granule():
    unit = matrix_unit(GC200, "float32")
    assert unit is not None
    one, sixteen = (product(60, n, 8, GC200, unit, "float32") for n in (9, 16))
    assert one == sixteen


def elementwise(op, size):
    expression = Expression(("float32",), (Instruction(op, (0,), "float32"),), (1,))
    return Elementwise(expression, (size,), ((1,),), ((1,),))


def test_functions_take_what_was_published_for_them():
    """Twelve bundles for two tanh, one for two negations."""
    tanh, neg = (vertex(elementwise(op, 1200), GC200) for op in ("tanh", "neg"))
    loops = 1200 / 2
    assert tanh - neg == pytest.approx(11 * loops)
