"""Where the rows of a vertex lie, and the vertex for some of them."""

import numpy as np
import pytest

from tilewright.plan.ir import Buffer, View
from tilewright.plan.walks.over_rows import rows_of

BUFFER = Buffer("float32", 4096, "shared")


def view(shape, strides, offset=0):
    return View(BUFFER, shape, strides, offset)


@pytest.mark.parametrize(
    ("seen", "row"),
    [
        (view((10, 8), (8, 1)), 0),
        (view((10, 8), (16, 1), 16 * 3), 3),
        (view((10, 8), (16, 1), 16 * 3 + 8), 3),
        (view((10, 4), (16, 4), 3), 0),
    ],
)
def test_a_row_is_a_stretch_of_memory_of_its_own(seen, row):
    assert rows_of(seen, 0) == (seen.strides[0], row, ())
    memory = np.arange(BUFFER.size)
    lie = seen.strides[0]
    for number in range(seen.shape[0]):
        start = seen.offset + number * lie
        places = memory[start : start + lie : seen.strides[1]][: seen.shape[1]]
        assert set(places // lie) == {row + number}


@pytest.mark.parametrize(
    "seen",
    [
        view((10, 9), (8, 1)),
        view((10, 8), (16, 1), 9),
        view((10, 8), (1, 10)),
        view((10, 8), (0, 1)),
    ],
    ids=["overlap", "over the edge", "side by side", "one for all"],
)
def test_rows_that_mix_are_none(seen):
    assert rows_of(seen, 0) is None


def test_what_has_no_rows():
    assert rows_of(view((8,), (1,)), None) is None
