"""Printing and parsing are inverse, to the bit."""

from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest

from tests.graph.cases import CASES
from tilewright.graph.evaluate import evaluate
from tilewright.graph.ir import Builder, Graph, Type
from tilewright.graph.text import parse, to_text
from tilewright.trace import trace


@pytest.mark.parametrize("case", ["gradient", "gather_fill", "while_vmap", "scan", "sort", "pad"])
def test_round_trip(case):
    function, *arguments = CASES[case]
    traced = trace(function, *arguments)
    text = to_text(traced.graph)
    again = parse(text)
    assert to_text(again) == text
    inputs = [*traced.constants, *arguments]
    for a, b in zip(evaluate(traced.graph, inputs), evaluate(again, inputs), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "value",
    [
        np.float32(0.1),
        np.float32(-0.0),
        np.float32(np.inf),
        np.uint32(0x7FC12345).view(np.float32),
        np.float16(1e-7),
        np.array(3.3, ml_dtypes.bfloat16),
        np.array([0.1, np.nan], np.float32),
        np.array([[1.5]], ml_dtypes.bfloat16),
        np.zeros((0, 3), np.int8),
        np.array(True),
        np.uint64(2**64 - 1),
        np.int8(-128),
        np.float64(1 / 3),
    ],
)
def test_constants_are_exact(value):
    builder = Builder()
    graph = builder.graph([builder.constant(value)])
    text = to_text(graph)
    again = parse(text).nodes[0].params["value"]
    assert again.tobytes() == np.asarray(value).tobytes()
    assert (again.dtype, again.shape) == (np.asarray(value).dtype, np.asarray(value).shape)
    assert to_text(parse(text)) == text


def test_equal_graphs_have_equal_texts():
    def build():
        builder = Builder([Type("float32", (3,))])
        return builder.graph([builder.op("neg", builder.op("exp", *builder.inputs))])

    assert to_text(build()) == to_text(build())
    assert to_text(build()) == (
        "graph(%0: float32[3]) {\n"
        "  %1: float32[3] = exp(%0)\n"
        "  %2: float32[3] = neg(%1)\n"
        "  return %2\n"
        "}\n"
    )


def test_short_text_abbreviates():
    builder = Builder()
    graph = builder.graph([builder.constant(np.arange(1000.0))])
    assert "0.0 1.0 2.0 3.0 4.0 5.0 ..." in to_text(graph, short=True)
    assert len(to_text(graph, short=True)) < 200 < len(to_text(graph))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", "should begin"),
        ("graph() {\n  %1: f[] = neg(%0)\n  return\n}", "%0 is not defined"),
        ("graph() {\n  ?\n  return\n}", "not a node"),
        ("graph() {\n  %0: f[] = f(; a=b)\n  return\n}", "not a parameter"),
        ("graph() {\n  return\n}\nmore", "after the graph"),
    ],
)
def test_bad_text(text, message):
    with pytest.raises(ValueError, match=message):
        parse(text)


def test_the_law_of_sums_is_named_where_it_is_not_the_hosts():
    graph = Graph((), (), (), law="paired")
    assert to_text(graph).startswith("graph() by paired {")
    assert parse(to_text(graph)).law == "paired"
    assert " by " not in to_text(Graph((), (), ()))


def test_a_state_is_kept():
    builder = Builder([Type("float32", (3,)), Type("int32", ())])
    total = builder.op("neg", builder.inputs[0])
    graph = replace(builder.graph([*builder.inputs[1:], total, total]), state=(1, 0))
    text = to_text(graph)
    assert text.startswith("graph(%0: float32[3], %1: int32[]) overwriting %1 %0 {")
    assert parse(text).state == (1, 0)
    assert to_text(parse(text)) == text
