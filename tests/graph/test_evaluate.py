"""The interpreter against JAX, through the tracer, one small function for each operation."""

import jax
import numpy as np
import pytest

from tests.graph.cases import CASES
from tilewright.graph.evaluate import evaluate
from tilewright.graph.ir import Builder, Type
from tilewright.trace import trace


@pytest.mark.parametrize("case", CASES)
def test_agrees_with_jax(case):
    function, *arguments = CASES[case]
    traced = trace(function, *arguments)
    ours = evaluate(traced.graph, [*traced.constants, *arguments])
    theirs = jax.tree.leaves(jax.jit(function)(*arguments))
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        b = np.asarray(b)
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_wrong_inputs_are_refused():
    builder = Builder([Type("float32", (3,))])
    graph = builder.graph([builder.op("neg", *builder.inputs)])
    with pytest.raises(ValueError, match=r"float32\[3\] expected"):
        evaluate(graph, [np.zeros(4, np.float32)])
    with pytest.raises(ValueError, match=r"float32\[3\] expected"):
        evaluate(graph, [np.zeros(3, np.float64)])
    with pytest.raises(ValueError, match="1 inputs expected"):
        evaluate(graph, [])


def test_a_bool_index_and_a_clamped_one():
    builder = Builder([Type("int32", ()), Type("float32", ())])
    cases = []
    for op in ("neg", "abs"):
        body = Builder([Type("float32", ())])
        cases.append(body.graph([body.op(op, *body.inputs)]))
    out = builder.add("branch", builder.inputs, [Type("float32", ())], bodies=cases)
    graph = builder.graph(out)
    assert evaluate(graph, [np.array(-4, np.int32), np.array(-1, np.float32)]) == [1]
    assert evaluate(graph, [np.array(9, np.int32), np.array(-2, np.float32)]) == [2]


def test_outputs_do_not_alias_inputs():
    builder = Builder([Type("float32", (3,))])
    graph = builder.graph(builder.inputs)
    array = np.zeros(3, np.float32)
    evaluate(graph, [array])[0][0] = 1
    assert array[0] == 0
