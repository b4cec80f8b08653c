"""Arguments checked in native code: what fits goes straight in, anything else the long way."""

import pickle

import numpy as np
import pytest

from tests.runtime.programs import add
from tilewright.errors import ArgumentError
from tilewright.graph.ir import Type
from tilewright.runtime import layout
from tilewright.runtime.executable import Executable

X = np.arange(4, dtype=np.float32)


def test_this_python_is_known():
    """On any Python that is tested; elsewhere calls are slower and right all the same."""
    assert layout.is_known()


@pytest.fixture
def slow(monkeypatch):
    """Whether a call went the long way."""
    went = []
    real = Executable._apply_others

    def noted(self, frame, leaves, pieces):
        went.append(True)
        real(self, frame, leaves, pieces)

    monkeypatch.setattr(Executable, "_apply_others", noted)
    return went


class Mine(np.ndarray):
    """A class of arrays that might mean something else."""


MANY = np.arange(8, dtype=np.float32)
EXACT = {
    "plain": X,
    "read-only": np.frombuffer(X.tobytes(), np.float32),
    "a row": np.stack([MANY[:4], X])[1],
    "contiguous by chance": X.reshape(4, 1)[:, 0],
}
OTHERS = {
    "strided": (MANY / 2)[::2],
    "backwards": np.ascontiguousarray(X[::-1])[::-1],
    "float64": X.astype(np.float64),
    "big-endian": X.astype(">f4"),
    "unaligned": np.frombuffer(b"\0" + X.tobytes(), np.uint8)[1:].view(np.float32),
    "subclass": X.view(Mine),
    "a dtype of its own": np.frombuffer(X.tobytes(), pickle.loads(pickle.dumps(np.dtype("f4")))),
}


@pytest.mark.parametrize("name", EXACT)
def test_exact_arrays_go_straight_in(slow, name):
    np.testing.assert_array_equal(add()(EXACT[name], X), EXACT[name] + X)
    assert not slow


@pytest.mark.parametrize("name", OTHERS)
def test_others_are_made_exact_first(name):
    np.testing.assert_array_equal(add()(X, OTHERS[name]), np.asarray(OTHERS[name]) + X)


@pytest.mark.parametrize(
    "wrong",
    [X[:3], np.zeros(5, np.float32), X.reshape(2, 2), X.reshape(4, 1), np.float32(1), X > 1],
    ids=lambda a: f"{a.dtype}{a.shape}",
)
def test_nothing_is_taken_for_what_it_is_not(wrong):
    """Rank, each length and dtype are compared, not the number of bytes."""
    with pytest.raises(ArgumentError):
        add()(X, wrong)


def test_a_python_whose_layout_is_unknown(monkeypatch, slow):
    monkeypatch.setattr(layout, "is_known", lambda: False)
    call = add()
    np.testing.assert_array_equal(call(X, 2 * X), 3 * X)
    np.testing.assert_array_equal(call(1.0 * X, OTHERS["strided"]), X + OTHERS["strided"])
    assert slow


def test_the_table_tells_types_apart():
    kinds = [Type("float32", (2, 3)), Type("int32", ()), Type("bfloat16", (0,))]
    for finite, floats in ((False, 0), (True, 6)):
        table = layout.expected(kinds, finite)
        assert table is not None
        assert list(table)[3:] == [
            id(np.dtype("f4")), 2, floats, 2, 3, id(np.dtype("i4")), 0, 0,
            id(kinds[2].numpy), 1, 0, 0,
        ]  # fmt: skip
