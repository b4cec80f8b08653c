"""Ticks that are no numbers, states of streams, and all that is refused with the state unharmed."""

from typing import Any, cast

import numpy as np
import pytest

from tests.sequence.streams import INPUTS, model, ticks
from tilewright.errors import ArgumentError
from tilewright.sequence import Snapshot

NET = model("lstm")
GAP = np.array([[1, np.nan, 2], [3, 4, -np.inf]], np.float32)
WHOLE = np.array([[5, 6, 7], [8, 9, 10]], np.float32)


def states(running):
    return [array.tobytes() for array in running.program.arrays()]


def test_what_is_not_finite_is_refused_and_changes_nothing():
    stream, other = NET.stream(2), NET.stream(2)
    stream.answer(WHOLE)
    other.answer(WHOLE)
    before = states(stream)
    for run in (stream, stream.answer):
        with pytest.raises(ArgumentError, match=r"^x is nan in stream 0, feature 1\.$"):
            run(GAP)
    with pytest.raises(ArgumentError, match=r"^x is -inf in stream 1, feature 2\.$"):
        stream.answer(GAP[1:], only=[1])
    huge = np.full((2, INPUTS), 3e38, np.float32)
    assert states(stream) == before
    assert list(stream.ticks) == [1, 1]
    np.testing.assert_array_equal(stream.answer(huge), other.answer(huge))  # large is no gap


def test_what_is_not_finite_is_held():
    stream, other = NET.stream(2, nan="hold"), NET.stream(2)
    with pytest.raises(ArgumentError, match="feature 1, and there is no earlier value to hold"):
        stream.answer(GAP)
    for x in (WHOLE, np.array([[1, 6, 2], [3, 4, 10]], np.float32)):
        expected = other.answer(x)
        np.testing.assert_array_equal(stream.answer(WHOLE if x is WHOLE else GAP), expected)
    later = np.array([[np.nan, np.nan, 0], [0, 0, np.nan]], np.float32)
    filled = np.array([[1, 6, 0], [0, 0, 10]], np.float32)
    np.testing.assert_array_equal(stream.answer(later), other.answer(filled))
    again = NET.stream(2, nan="hold")
    again.restore(stream.save(1), 0)
    np.testing.assert_array_equal(
        again.answer(later[1:], only=[0]), stream.answer(later[1:], only=[1])
    )
    stream.reset(0)
    with pytest.raises(ArgumentError, match="no earlier value"):
        stream.answer(later)


def test_what_is_not_finite_passes():
    stream = NET.stream(2, nan="pass")
    answer = stream.answer(GAP)
    assert np.isnan(answer[0]).all()
    assert np.isfinite(answer[1]).all()  # -inf saturates a gate


def test_some_streams_while_others_wait():
    stream, alone = NET.stream(3), [NET.stream() for _ in range(3)]
    for x, only in zip(ticks(4, 3), ([0, 2], [1], [2, 0], [0, 1, 2]), strict=True):
        answers = stream.answer(x[only], only=only)
        for number, answer in zip(only, answers, strict=True):
            np.testing.assert_array_equal(alone[number].answer(x[number]), answer)
    assert list(stream.ticks) == [3, 2, 3]


def test_states_are_saved_restored_forked_and_reset():
    stream, xs = NET.stream(2), ticks(6, 2)
    stream.answer(xs[0])
    saved = stream.save(1)
    first = [stream.answer(x)[1] for x in xs[1:3]]
    stream.restore(saved, 0)  # of one stream into another
    second = [stream.answer(x[::-1])[0] for x in xs[1:3]]
    np.testing.assert_array_equal(first, second)
    assert list(stream.ticks) == [3, 5]
    stream.fork(1, 0)
    both = stream.answer(np.stack([xs[3, 0]] * 2))
    np.testing.assert_array_equal(both[0], both[1])
    stream.reset(0)
    np.testing.assert_array_equal(stream.answer(xs[0])[0], NET.stream(2).answer(xs[0])[0])
    assert list(stream.ticks) == [1, 7]


def test_what_was_prepared_is_forgotten_where_states_are_written():
    xs = ticks(4, 2)

    def answers(prepares: bool) -> list[bytes]:
        """What is answered after each way to write a state."""
        stream = NET.stream(2)
        saved = stream.save(0)
        writes = [
            lambda: stream.restore(saved, 1),
            lambda: stream.fork(0, 1),
            lambda: stream.reset(0),
            lambda: stream.answer(xs[0][:1], only=[1]),
        ]
        found = []
        for write in writes:
            stream.answer(xs[1])
            if prepares:
                stream.prepare()
            write()
            found.append(stream.answer(xs[2]).tobytes())
        return found

    assert answers(True) == answers(False)


def test_a_state_in_a_file(tmp_path):
    stream, xs = NET.stream(2), ticks(3, 2)
    stream.answer(xs[0])
    stream.save(1).save(tmp_path / "state.npz")
    other = model("lstm").stream()
    other.restore(Snapshot.load(tmp_path / "state.npz"))
    np.testing.assert_array_equal(other.answer(xs[1, 1]), stream.answer(xs[1])[1])
    assert list(other.ticks) == [2]
    good = (tmp_path / "state.npz").read_bytes()
    later = bytearray(good)
    later[4] = later[good.index(b"PK\x01\x02") + 6] = 200  # a version of ZIP that there is not
    for bad in (b"", good[:-40], later, b"PK" + good[2:50], b"\x93NUMPY"):
        (tmp_path / "bad.npz").write_bytes(bad)
        with pytest.raises(ArgumentError, match=r"bad.npz holds no state of a stream"):
            Snapshot.load(tmp_path / "bad.npz")
    np.savez(tmp_path / "other.npz", about=np.array(["a", "b", "c"]))
    with pytest.raises(ArgumentError, match="holds no state"):
        Snapshot.load(tmp_path / "other.npz")
    with pytest.raises(FileNotFoundError):
        Snapshot.load(tmp_path / "none.npz")


def test_what_is_refused_leaves_all_as_it_is():
    stream = NET.stream(2)
    stream.answer(WHOLE)
    before, good = states(stream), stream.save()
    foreign = model("lstm", seed=1).stream().save()
    wrong = Snapshot(good.model, "float32", good.kind, good.arrays[:-1], good.last, 0)
    rounded = NET.stream(precision="bfloat16").save()
    cases = [
        (lambda: stream.answer(WHOLE[:, :2]), "^x has 2 features, but the net takes 3"),
        (lambda: stream.answer(np.ones((3, 3), "f4")), "^x has ticks for 3 streams, where there"),
        (lambda: stream.answer(WHOLE[0]), r"^x has shape \(3,\), not \(streams, features\)"),
        (lambda: stream.answer(WHOLE.astype(np.int32)), "^x has dtype int32, but the net takes"),
        (lambda: stream.answer("abc"), r"^x has shape \(\)"),
        (lambda: stream.answer(WHOLE[:1], only=[2]), "^There is no stream 2: it was compiled for"),
        (lambda: stream.answer(WHOLE, only=[1, 1]), "^only names a stream twice"),
        (lambda: stream.answer(WHOLE, only=[1]), "^x has ticks for 2 streams, where there are 1"),
        (lambda: stream.answer(WHOLE.astype(float) * 1e300), "^x is -?inf in stream 0, feature 0"),
        (lambda: stream.answer([[1], [1, 2]]), "^x holds no rows of numbers"),
        (
            lambda: stream.answer(WHOLE, only=cast(Any, 1)),
            "^only must be numbers of streams, not 1",
        ),
        (lambda: stream.save(-1), "^There is no stream -1"),
        (lambda: stream.reset(True), "^There is no stream True"),
        (lambda: stream.fork(0, 2), "^There is no stream 2"),
        (lambda: stream.restore(foreign), "^The state is of another model"),
        (lambda: stream.restore(rounded), "^The state is in bfloat16, not in float32"),
        (lambda: stream.restore(wrong), "^The state has arrays of other shapes"),
        (lambda: stream.restore(cast(Any, {"h": 1})), "^snapshot must be a Snapshot, not dict"),
    ]
    for use, message in cases:
        with pytest.raises(ArgumentError, match=message):
            use()
    assert states(stream) == before
    assert list(stream.ticks) == [1, 1]


def test_doubles_and_lists_are_taken():
    expected = NET.stream(2).answer(WHOLE)
    for x in (WHOLE.astype(np.float64), WHOLE.tolist(), np.asfortranarray(WHOLE)):
        np.testing.assert_array_equal(NET.stream(2).answer(x), expected)
