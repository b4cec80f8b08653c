"""A vertex, one image after the other: together they do what it does of all at once."""

from dataclasses import replace

import numpy as np
import pytest

from tests.plan.by_hand import calls_of, run
from tilewright.graph.ir import Builder, Type
from tilewright.plan.ir import new_var
from tilewright.plan.walks.over_images import OverImages

IMAGES = 3


def expanded(steps, var, count):
    """The steps of every turn, one after the other."""

    def here(view, turn):
        moved = sum(by * turn for name, by in view.moves if name == var)
        moves = tuple(move for move in view.moves if move[0] != var)
        return replace(view, offset=view.offset + moved, moves=moves)

    return [
        replace(call, views=tuple(here(view, turn) for view in call.views))
        for turn in range(count)
        for call in steps
    ]


def one_by_one(graph, arrays, images=0):
    """Results, flat, all at once and image by image; and what the vertex is found to be."""
    program, (call,) = calls_of(graph)
    found = OverImages.of(call, images)
    assert found is not None
    var, parts = new_var(), found.parts()
    steps = expanded(list(found.calls(var, parts)), var, found.images)
    if parts is not None:
        steps.append(found.added(parts))
    walked = replace(program, steps=tuple(steps))
    return run(program, arrays), run(walked, arrays), found


def graph_of(shapes, make):
    builder = Builder([Type("float32", shape) for shape in shapes])
    return builder.graph([make(builder)])


def expressed(b):
    return b.op("mul", b.op("add", b.inputs[0], b.inputs[1]), b.inputs[0])


CASES = {
    "elementwise": ([(IMAGES, 4, 5, 16)] * 2, expressed, 0),
    "rows of channels": ([(IMAGES, 16)] * 2, expressed, 0),
    "sums over places": (
        [(IMAGES, 4, 5, 16)],
        lambda b: b.op("reduce", b.inputs[0], kind="sum", axes=(1, 2)),
        0,
    ),
    "a product": (
        [(IMAGES * 20, 24), (24, 32)],
        lambda b: b.op("dot", *b.inputs, contract=((1,), (0,)), batch=((), ()), dtype="float32"),
        IMAGES,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_images_one_by_one_are_all_at_once(name):
    shapes, make, images = CASES[name]
    random = np.random.default_rng(0)
    arrays = [random.normal(size=shape).astype(np.float32) for shape in shapes]
    whole, walked, found = one_by_one(graph_of(shapes, make), arrays, images)
    assert found.images == IMAGES
    for left, right in zip(whole, walked, strict=True):
        np.testing.assert_array_equal(left, right)


def test_rows_of_a_product_are_an_images_places():
    shapes, make, images = CASES["a product"]
    _, (call,) = calls_of(graph_of(shapes, make))
    found = OverImages.of(call, images)
    assert found is not None
    assert found.each == 20
    assert [view.shape[:2] for view, axis, _ in found.sides if axis is not None] == [(3, 20)] * 2
    assert OverImages.of(call, 7) is None, "rows are no whole images"
    assert OverImages.of(call) is None, "nobody says how many images there are"


def test_what_asks_where_it_is_has_no_images():
    def make(b):
        places = b.op("iota", dimension=0, shape=(IMAGES, 4, 5, 16), dtype="float32")
        return b.op("add", b.inputs[0], places)

    _, calls = calls_of(graph_of([(IMAGES, 4, 5, 16)], make))
    assert OverImages.of(calls[-1]) is None
