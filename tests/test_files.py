"""Files are replaced whole, or stay as they were."""

import pytest

from tilewright.files import write_bytes, write_text


def test_the_new_stands_in_the_place_of_the_old(tmp_path):
    path = tmp_path / "page.html"
    write_text(path, "old")
    write_text(path, "naïve")
    assert path.read_bytes() == "naïve".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_leaves_nothing(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    write_text(path, "old")

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(OSError, match="No space"):
        write_bytes(path, b"new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
