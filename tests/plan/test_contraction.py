"""Products as their codelets want them: which of them, on which sides, and after which copies."""

import numpy as np
import pytest

from tests.machines import SMALL, STATED
from tests.plan.scopes import scope_of
from tilewright.codelets.contract import ContractOuter, ContractVector
from tilewright.graph.evaluate import evaluate
from tilewright.graph.ir import Builder, Graph, Type
from tilewright.plan.contraction import WORTH_PACKING
from tilewright.plan.ir import Call
from tilewright.plan.lower import lower
from tilewright.simulate import simulate

Shapes = tuple[tuple[int, ...], tuple[int, ...]]
PRODUCTS = {
    "matrices": (((5, 6), (6, 7)), ((1,), (0,)), ((), ())),
    "both along k": (((5, 6), (7, 6)), ((1,), (1,)), ((), ())),
    "both across k": (((6, 5), (6, 7)), ((0,), (0,)), ((), ())),
    "batches": (((4, 5, 6), (4, 6, 7)), ((2,), (1,)), ((0,), (0,))),
    "batches last": (((5, 6, 4), (6, 7, 4)), ((1,), (0,)), ((2,), (2,))),
    "two axes": (((5, 2, 3), (3, 7, 2)), ((1, 2), (2, 0)), ((), ())),
    "two axes, the last first": (((5, 2, 3), (3, 7, 2)), ((2, 1), (0, 2)), ((), ())),
    "two free axes": (((2, 6, 5), (6, 3, 7)), ((1,), (0,)), ((), ())),
    "matrix and vector": (((5, 6), (6,)), ((1,), (0,)), ((), ())),
    "vector and matrix": (((6,), (5, 6)), ((0,), (1,)), ((), ())),
    "vectors": (((6,), (6,)), ((0,), (0,)), ((), ())),
    "batches of vectors": (((4, 6), (5, 6, 4)), ((1,), (1,)), ((0,), (2,))),
    "nothing summed": (((5, 0), (0, 7)), ((1,), (0,)), ((), ())),
}


def product(shapes: Shapes, contract, batch, dtype: str = "float32") -> Graph:
    b = Builder([Type(dtype, shape) for shape in shapes])
    return b.graph([b.op("dot", *b.inputs, contract=contract, batch=batch, dtype=dtype)])


def named(name: str, dtype: str = "float32") -> Graph:
    shapes, contract, batch = PRODUCTS[name]
    return product(shapes, contract, batch, dtype)


def vertices(graph: Graph) -> list[Call]:
    scope = scope_of(graph)
    scope.plan.lower_units(scope)
    assert all(isinstance(step, Call) for step in scope.steps)
    return [step for step in scope.steps if isinstance(step, Call)]


@pytest.mark.parametrize("machine", [STATED, SMALL], ids=["host", "small"])
@pytest.mark.parametrize("dtype", ["float32", "int32"])
@pytest.mark.parametrize("name", PRODUCTS)
def test_programs_of_one_product_give_what_it_means(name, dtype, machine):
    graph = named(name, dtype)
    rng = np.random.default_rng(0)
    arrays = [(9 * rng.normal(size=v.shape)).astype(dtype) for v in graph.inputs]
    program, _ = lower(graph, machine)
    (expected,) = evaluate(graph, arrays)
    (ours,) = simulate(program, arrays, 3).outputs
    np.testing.assert_array_equal(ours.reshape(expected.shape), expected)


@pytest.mark.parametrize("name", PRODUCTS)
def test_an_operand_without_free_axes_is_the_vector(name):
    batches = len(PRODUCTS[name][2][0])
    codelet = vertices(named(name))[-1].codelet
    if "vector" not in name:
        assert isinstance(codelet, ContractOuter)
        return
    assert isinstance(codelet, ContractVector)
    assert len(codelet.inputs[1].shape) == batches + 1, "it comes second"
    assert codelet.inputs[0].shape[:batches] == codelet.inputs[1].shape[:batches]
    assert codelet.inputs[0].shape[-1] == codelet.inputs[1].shape[-1] == 6


@pytest.mark.parametrize(
    "name", ["matrices", "both across k", "batches", "matrix and vector", "vector and matrix"]
)
def test_operands_that_lie_well_are_read_where_they_are(name):
    assert len(vertices(named(name))) == 1


def test_operands_that_both_lie_along_k_are_packed_where_rows_pay_for_it():
    def count(rows: int) -> int:
        return len(vertices(product(((rows, 6), (7, 6)), ((1,), (1,)), ((), ()))))

    assert [count(rows) for rows in (1, WORTH_PACKING - 1, WORTH_PACKING)] == [1, 1, 2]


def test_axes_that_strides_cannot_join_are_copied_first():
    calls = vertices(product(((5, 2, 3), (3, 7, 2)), ((1, 2), (2, 0)), ((), ())))
    assert [isinstance(call.codelet, ContractOuter) for call in calls] == [False, True]
    assert calls[0].views[0].buffer.index == 1, "the right one; the left one lies well"
