"""Boxes around what several views touch: every element of a view, once, and where it is placed."""

import numpy as np
import pytest

from tilewright.plan.apart.boxes import all_instances, box_around, may_meet, that_meet
from tilewright.plan.ir import Buffer, View, new_var

BUFFER = Buffer("float32", 7 * 9 * 4, "shared")
STRIDES = (36, 4, 1)


def window(row, column, shape, strides=STRIDES):
    return View(BUFFER, shape, strides, 36 * row + 4 * column)


def elements(view):
    """The elements of the buffer, in the view's order."""
    found = np.array([view.offset])
    for n, step in zip(view.shape, view.strides, strict=True):
        found = (found[:, None] + np.arange(n) * step).reshape(-1)
    return found


def square(rows, columns):
    return [window(i, j, (rows, columns, 4)) for i in range(3) for j in range(3)]


CROSS = [window(i, j, (3, 4, 4)) for i, j in ((2, 2), (1, 2), (3, 2), (2, 1), (2, 3))]
CASES = {
    "a square": (square(3, 4), (), 5 * 6 * 4, 1),
    "a cross": (CROSS, (), 5 * 6 * 4, 5),
    "one row": (square(1, 4), (36,), 3 * 6 * 4, 1),
    "one view": ([window(1, 1, (2, 3, 4))], (), 24, 1),
    "backwards": ([window(3, 5, (2, 3), (-36, -4))], (), 6, 1),
    "columns first": ([window(1, 1, (4, 3), (1, 36))], (), 12, 1),
    "every second": ([window(1, c, (3, 3), (36, 8)) for c in (0, 2)], (), 12, 1),
}


@pytest.mark.parametrize("name", CASES)
def test_pieces_have_each_element_once_where_it_is_placed(name):
    views, along, size, count = CASES[name]
    box = box_around(views, along)
    assert box is not None
    assert box.size == size
    pieces = box.pieces(views)
    assert len(pieces) == count
    every = np.concatenate([elements(piece) for piece in pieces])
    wanted = np.unique(np.concatenate([elements(view) for view in views]))
    assert np.array_equal(np.sort(every), wanted)
    place = np.full(box.size, -1)
    for piece in pieces:
        place[elements(box.placed(piece, BUFFER))] = elements(piece)
    for view in views:
        assert np.array_equal(place[elements(box.placed(view, BUFFER))], elements(view))


def test_views_that_strides_do_not_lead_between_have_no_box():
    assert box_around([window(0, 0, (3, 2), (36, 8)), window(0, 1, (3, 2), (36, 8))]) is None
    assert box_around([window(0, 0, (3, 3), (4, 4))]) is None, "two dimensions along one"


FILLED, INSIDE = window(0, 0, (7, 9, 4)), window(1, 1, (5, 7, 4))


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        (FILLED, INSIDE, True),
        (window(0, 0, (1, 9, 4)), INSIDE, False),
        (window(0, 0, (7, 1, 4)), INSIDE, False),
        (window(0, 8, (7, 1, 4)), INSIDE, False),
        (window(0, 0, (7, 9, 3)), View(BUFFER, (7, 9, 1), STRIDES, 3), False),
        (window(0, 0, (4, 5, 4)), window(4, 0, (3, 5, 4)), False),
        (window(0, 0, (4, 5, 4)), window(3, 4, (3, 5, 4)), True),
    ],
)
def test_what_two_views_have_in_common(one, other, meet):
    assert bool(set(elements(one)) & set(elements(other))) == meet
    assert may_meet(one, other, STRIDES) == meet
    assert may_meet(other, one, STRIDES) == meet


def test_instances_together():
    rows, columns = new_var(), new_var()
    patch = View(BUFFER, (2, 3, 4), STRIDES, 0, ((rows, 72), (columns, 12)))
    whole = all_instances(patch, {rows: 3, columns: 3})
    assert (whole.shape, whole.moves) == ((6, 9, 4), ())
    assert np.array_equal(np.sort(elements(whole)), np.arange(6 * 36))


def test_columns_between_each_other_do_not_meet():
    """Of rows 13 apart: two that are two rows apart meet, those of other columns do not."""
    buffer = Buffer("float32", 200, "shared")
    views = [View(buffer, (7,), (13,), first) for first in (37, 11, 25, 23)]
    groups = that_meet(views)
    assert sorted(sorted(view.offset for view in group) for group in groups) == [
        [11, 37],
        [23],
        [25],
    ]
    for one in views:
        for other in views:
            common = np.intersect1d(elements(one), elements(other)).size > 0
            assert may_meet(one, other) == common
