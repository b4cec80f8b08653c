"""A value is alive until the last unit that reads its memory, through whatever view of it."""

from tilewright.graph.ir import Builder, Type
from tilewright.plan.lives import FOREVER, Lives

KIND = Type("float32", (3, 4))


def test_views_keep_what_they_are_of_alive():
    b = Builder([KIND])
    first = b.op("neg", *b.inputs)
    total = b.op("reduce", first, kind="sum", axes=(0, 1))
    turned = b.op("transpose", first, permutation=(1, 0))
    flat = b.op("reshape", turned, shape=(12,))
    late = b.op("reduce", b.op("reverse", flat, dimensions=(0,)), kind="max", axes=(0,))
    lives = Lives(b.graph([b.op("add", total, late)]))
    assert {lives.root(v) for v in (first, turned, flat)} == {first}
    readers = [i for i, unit in enumerate(lives.units) if unit.kind == "reduce"]
    assert lives.last_read[first] == max(readers)
    assert lives.last_read[b.inputs[0]] < min(readers)


def test_results_live_for_ever_and_so_does_what_they_are_views_of():
    b = Builder([KIND])
    first = b.op("neg", *b.inputs)
    lives = Lives(b.graph([b.op("transpose", first, permutation=(1, 0))]))
    assert lives.last_read[first] == FOREVER
    b.op("exp", first)
    lives = Lives(b.graph([first, b.nodes[-1].output]))
    assert lives.last_read[first] == FOREVER, "though a unit reads it, too"


def test_who_reads_a_value_outside_of_its_unit():
    b = Builder([KIND])
    one = b.op("neg", *b.inputs)
    two = b.op("exp", one)
    both = b.op("add", one, two)
    lives = Lives(b.graph([both]))
    (unit,) = lives.units
    assert [lives.leaves_unit(value, unit) for value in (one, two, both)] == [False, False, True]
    shown = Lives(b.graph([both, one]))
    assert shown.leaves_unit(one, shown.units[0])
    assert not shown.leaves_unit(two, shown.units[0])
