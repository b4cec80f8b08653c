"""Labelled images from folders, tables and packages."""

import gzip

import numpy as np
import pytest

from tilewright.errors import ArgumentError
from tilewright.vision import datasets
from tilewright.vision.datasets import demonstration, fashion, of_table, shapes, solar_cells


def table(tmp_path, text):
    path = tmp_path / "t.csv"
    path.write_text(text)
    return path


def test_a_table(tmp_path):
    text = "path,label,group,time\na.png,x,1,2024-01-01\nb/c.png,y,2,2024-01-02T03:00\n"
    data = of_table(table(tmp_path, text))
    assert data.items == [tmp_path / "a.png", tmp_path / "b" / "c.png"]
    assert data.labels.tolist() == ["x", "y"]
    assert data.groups is not None
    assert data.times is not None
    assert data.times[0] < data.times[1]


def test_a_table_as_spreadsheets_write_it(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("path,label\na.png,x\n", encoding="utf-8-sig")
    assert of_table(path).labels.tolist() == ["x"]


@pytest.mark.parametrize("text, words", [
    ("", "has no rows"),
    ("path\na.png\n", "has no column 'label'"),
    ("path,label\na.png,\n", "line 2: label is missing"),
    ("path,label,time\na.png,x,noon\n", "line 2: 'noon' is no time like"),
    ("path,label,time\na.png,x,1700000000\n", "line 2: '1700000000' is no time like"),
    ("path,label,time\na.png,x,\n", "line 2: time is missing"),
    ("path,label,group\na.png,x,1\nb.png,x\n", "line 3: group is missing"),
])  # fmt: skip
def test_tables_that_cannot_be_used(text, words, tmp_path):
    with pytest.raises(ArgumentError, match=words):
        of_table(table(tmp_path, text))


def test_fashion(tmp_path):
    assert fashion(tmp_path) is None
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28)).astype(np.uint8)
    for name, content in (
        ("images-idx3", bytes(16) + images.tobytes()),
        ("labels-idx1", bytes(8) + bytes([9, 0, 1, 2, 3])),
    ):
        (tmp_path / f"train-{name}-ubyte.gz").write_bytes(gzip.compress(content))
    data = fashion(tmp_path)
    assert data is not None
    np.testing.assert_array_equal(data.items[3], images[3])
    assert data.labels.tolist() == ["boot", "T-shirt", "trousers", "pullover", "dress"]


def test_shapes_are_said_to_be_generated(monkeypatch):
    monkeypatch.setattr(datasets, "solar_cells", lambda: None)
    monkeypatch.setattr(datasets, "fashion", lambda: None)
    data = demonstration()
    assert "generated" in data.source
    assert "not what a net is worth" in data.caveats[0]
    assert set(data.labels) == {"circle", "square", "triangle"}
    np.testing.assert_array_equal(data.items[7], shapes().items[7])


def test_solar_cells():
    data = solar_cells()
    if data is None:
        pytest.skip("elpv-dataset is not installed (extra photographs)")
    assert len(data.items) == 2624
    assert (data.labels == "defective").sum() == 821
    assert "may still be on both sides" in data.caveats[0]
