"""What a grid may cut a vertex along: free dimensions always, sums where others can wait."""

from dataclasses import replace

import pytest

from tests.plan.by_hand import calls_of
from tilewright.codelets.expression import Expression, Instruction
from tilewright.codelets.reduce import Reduce
from tilewright.graph.ir import Builder, Type
from tilewright.plan.apart.cutting import cutting


def cut_of(types, make):
    """Of the last vertex of a graph."""
    b = Builder([Type(dtype, shape) for dtype, shape in types])
    _, calls = calls_of(b.graph(make(b)))
    return cutting(calls[-1])


def product(contract, **params):
    return lambda b: [
        b.op("dot", *b.inputs, contract=contract, batch=((), ()), accumulate="float32", **params)
    ]


def sums(axes, kind="sum"):
    return lambda b: [b.op("reduce", b.inputs[0], kind=kind, axes=axes)]


def test_a_product_is_cut_along_all_three():
    found = cut_of([("float32", (24, 70)), ("float32", (70, 48))], product(((1,), (0,))))
    assert found is not None
    assert (found.problem.m, found.problem.n, found.problem.k) == (24, 48, 70)
    assert found.axes == (("m", "k"), ("k", "n"), ("m", "n"))
    assert not found.problem.whole


def test_a_matrix_and_a_vector_have_no_columns():
    found = cut_of([("float32", (24, 70)), ("float32", (70,))], product(((1,), (0,))))
    assert found is not None
    assert (found.problem.m, found.problem.n, found.problem.k) == (24, 1, 70)
    assert found.axes == (("m", "k"), ("k",), ("m",))


@pytest.mark.parametrize(("axes", "sides"), [((1,), ("mk",)), ((0,), ("km",))])
def test_sums_of_a_matrix(axes, sides):
    found = cut_of([("float32", (30, 40))], sums(axes))
    assert found is not None
    kept = 40 if axes == (0,) else 30
    assert (found.problem.m, found.problem.k) == (kept, 1200 // kept)
    assert found.problem.sides == sides
    assert not found.problem.whole


def test_what_is_no_sum_is_not_cut_along_its_terms():
    found = cut_of([("float32", (30, 40))], sums((1,), "max"))
    assert found is not None
    assert found.problem.whole
    rounded = cut_of([("bfloat16", (30, 40))], sums((1,)))
    assert rounded is None or rounded.problem.whole


def test_what_asks_where_it_is_is_not_cut():
    b = Builder([Type("float32", (30, 40))])
    _, (*_, call) = calls_of(b.graph(sums((1,))(b)))
    assert isinstance(call.codelet, Reduce)
    place = Instruction("iota", (), "float32", (("dimension", 1),))
    numbered = Expression(("float32",), (place,), (1,))
    assert cutting(call) is not None
    assert cutting(replace(call, codelet=replace(call.codelet, expression=numbered))) is None


def test_what_is_no_sum_at_all_is_not_cut():
    assert cut_of([("float32", (30, 40))], lambda b: [b.op("exp", b.inputs[0])]) is None
