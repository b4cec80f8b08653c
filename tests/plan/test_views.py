"""Movement without moving: a view of a buffer is what NumPy's own movement makes of the array."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewright.plan import views
from tilewright.plan.ir import Buffer, View, dense_strides

SHAPES = [(), (1,), (7,), (3, 4), (1, 5), (2, 3, 4), (4, 1, 2, 3), (3, 0, 2)]


def whole(shape):
    array = np.arange(np.prod(shape, dtype=int), dtype=np.int32).reshape(shape)
    return views.whole(Buffer("int32", array.size, "shared"), shape), array


def read(view: View, buffer: np.ndarray, **variables: int) -> np.ndarray:
    """The elements of a view, one by one; `variables` give the value of moves by number."""
    flat = buffer.reshape(-1)
    offset = view.offset + sum(variables[f"v{var}"] * step for var, step in view.moves)
    result = np.zeros(view.shape, buffer.dtype)
    for index in np.ndindex(*view.shape):
        result[index] = flat[offset + sum(i * s for i, s in zip(index, view.strides, strict=True))]
    return result


def same(view: View, buffer: np.ndarray, expected: np.ndarray, **variables: int) -> None:
    assert view.shape == expected.shape
    np.testing.assert_array_equal(read(view, buffer, **variables), expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_whole_transpose_reverse(shape):
    view, array = whole(shape)
    same(view, array, array)
    assert views.is_dense(view)
    for turned in (tuple(range(len(shape)))[::-1], tuple(np.roll(range(len(shape)), 1))):
        same(views.transpose(view, turned), array, array.transpose(turned))
    for axes in ((), (0,), tuple(range(len(shape)))):
        if len(axes) <= len(shape):
            same(views.reverse(view, axes), array, np.flip(array, axes))


def test_windows():
    view, array = whole((5, 7))
    same(views.window(view, (1, 2), (3, 4)), array, array[1:4, 2:6])
    same(views.window(view, (0, 1), (2, 3), (3, 2)), array, array[0:4:3, 1:6:2])
    same(views.window(views.reverse(view, (0,)), (1, 0), (2, 7)), array, array[::-1][1:3])
    assert views.window(view, (5, 7), (0, 0)).offset == 0, "nothing lies outside of the buffer"


def test_broadcasts():
    view, array = whole((3, 1))
    target = views.broadcast(view, (2, 3, 4), (1, 2))
    same(target, array, np.broadcast_to(array, (2, 3, 4)))
    assert target.strides[0] == target.strides[2] == 0
    scalar, number = whole(())
    same(views.broadcast(scalar, (2, 2), ()), number, np.broadcast_to(number, (2, 2)))


def test_rows_and_shifts_move_with_a_variable():
    view, array = whole((6, 4))
    for i in range(6):
        same(views.row(view, 5), array, array[i], v5=i)
        same(views.row(view, 5, backwards=True), array, array[5 - i], v5=i)
    part = views.shift(view, 9, 0, 2, start=1)
    for i in range(2):
        same(part, array, array[1 + 2 * i : 3 + 2 * i], v9=i)
    both = views.row(views.shift(view, 1, 1, 2), 2)
    same(both, array, array[3, 2:4], v1=1, v2=3)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.data())
def test_reshapes(data):
    """Any chain of movement, then a reshape: right, or None where NumPy too would have to copy."""
    shape = data.draw(st.sampled_from([(4, 6), (2, 3, 4), (12, 2), (2, 2, 2, 3)]))
    view, array = whole(shape)
    moved = array
    if data.draw(st.booleans()):
        order = data.draw(st.permutations(range(len(shape))))
        view, moved = views.transpose(view, order), moved.transpose(order)
    if data.draw(st.booleans()):
        view, moved = views.reverse(view, (0,)), moved[::-1]
    if data.draw(st.booleans()):
        start, size = (0,) * moved.ndim, (moved.shape[0] // 2, *moved.shape[1:])
        view, moved = views.window(view, start, size), moved[: size[0]]
    factors = data.draw(st.permutations([n for n in (2, 2, 2, 3) if moved.size % 24 == 0]))
    target = tuple(factors) if factors else (moved.size,)
    result = views.reshape(view, target)
    try:
        moved.view().shape = target
        copies = False
    except (AttributeError, ValueError):
        copies = True
    if result is None:
        assert copies, "strides could have said so"
    else:
        same(result, array, moved.reshape(target))


def test_what_is_dense():
    view, _ = whole((3, 4))
    assert not views.is_dense(views.transpose(view, (1, 0)))
    assert not views.is_dense(views.window(view, (0, 0), (3, 3)))
    assert views.is_dense(views.window(view, (1, 0), (2, 4)))
    assert views.is_dense(views.broadcast(whole((1, 4))[0], (1, 4), (0, 1)))
    assert views.is_dense(View(view.buffer, (0, 5), (99, 7))), "what is empty lies anyhow"
    assert dense_strides((2, 3, 4)) == (12, 4, 1)


def elements(view: View) -> set[int]:
    steps = [
        range(0, n * s, s) if s else [0] * n for n, s in zip(view.shape, view.strides, strict=True)
    ]
    return {view.offset + sum(at) for at in product(*steps)}


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_windows_are_apart_where_they_share_no_element(data):
    strides = tuple(data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=3)))
    buffer = Buffer("float32", 1000, "shared")
    shape = st.tuples(*[st.integers(1, 4)] * len(strides))
    one, other = (
        View(buffer, data.draw(shape), strides, data.draw(st.integers(0, 40))) for _ in range(2)
    )
    assert views.are_apart(one, other) == elements(one).isdisjoint(elements(other))


def test_windows_that_move_otherwise_are_not_known_to_be_apart():
    buffer = Buffer("float32", 100, "shared")
    one, other = View(buffer, (4,), (1,), 0, ((7, 8),)), View(buffer, (4,), (1,), 50, ((9, 8),))
    assert not views.are_apart(one, other)
    assert views.are_apart(one, View(buffer, (4,), (1,), 50, ((7, 8),)))
