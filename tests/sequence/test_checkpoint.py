"""What is read is what was written whole, of the same data and settings."""

import numpy as np
import pytest

from tilewright.errors import ArgumentError
from tilewright.sequence.checkpoint import Checkpoint

TREE = {"a": np.arange(3, dtype=np.float32), "b": (np.int32(4), np.array([True]))}
DATA = (np.ones(5), np.zeros((2, 2), np.float32))
SETTINGS = dict(hidden=4, rate=0.1)


def made(folder, settings=SETTINGS, data=DATA):
    return Checkpoint(folder / "fit.npz", settings, data)


def test_there_and_back(tmp_path):
    assert made(tmp_path).read(TREE) is None
    made(tmp_path).write(TREE)
    found = made(tmp_path).read(TREE)
    np.testing.assert_array_equal(found["a"], TREE["a"])
    assert found["b"] == (4, np.array([True]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(settings=SETTINGS | {"rate": 0.2}), r"of a fit with rate=0\.1, not 0\.2"),
        (dict(settings=SETTINGS | {"size": 3}), r"of a fit with other settings \(size\)"),
        (dict(settings={}), r"of a fit with other settings \("),
        (dict(data=(DATA[0], DATA[1] + 1)), "of a fit to other data"),
    ],
)
def test_another_fit_is_refused_by_name(tmp_path, change, message):
    made(tmp_path).write(TREE)
    with pytest.raises(ArgumentError, match=message):
        made(tmp_path, **change).read(TREE)


def test_another_net_and_another_version(tmp_path, monkeypatch):
    made(tmp_path).write(TREE)
    with pytest.raises(ArgumentError, match="of another net"):
        made(tmp_path).read(TREE | {"a": np.ones(4, np.float32)})
    monkeypatch.setattr("tilewright.__version__", "99")
    with pytest.raises(ArgumentError, match="of another version"):
        made(tmp_path).read(TREE)


def test_damage(tmp_path):
    made(tmp_path).write(TREE)
    path = tmp_path / "fit.npz"
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for cut in [0, 1, 50, *rng.integers(len(whole), size=30)]:
        path.write_bytes(whole[:cut])
        with pytest.raises(ArgumentError, match="is not a checkpoint"):
            made(tmp_path).read(TREE)


def test_no_folder(tmp_path):
    with pytest.raises(ArgumentError, match="there is no folder"):
        made(tmp_path / "none")


def test_what_is_laid_out_in_another_way_is_of_another_version(tmp_path, monkeypatch):
    path, made = tmp_path / "fit", {"a": np.zeros(3)}
    monkeypatch.setattr("tilewright.sequence.checkpoint.FORMAT", 2)  # fewer places for scores
    Checkpoint(path, {}, ()).write(made)
    monkeypatch.undo()
    with pytest.raises(ArgumentError, match=r"of another version \(2, not 3\)"):
        Checkpoint(path, {}, ()).read({"a": np.zeros(4)})
