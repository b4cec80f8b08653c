"""Files are replaced whole, or stay as they were."""

import os
import stat
from pathlib import Path

import pytest

from tilewright.files import write_all, write_bytes, write_text


def test_the_new_stands_in_the_place_of_the_old(tmp_path):
    path = tmp_path / "page.html"
    write_text(path, "old")
    write_text(path, "naïve")
    assert path.read_bytes() == "naïve".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_content_is_on_the_disk_before_its_name_and_the_name_before_the_return(
    tmp_path, monkeypatch
):
    done, sync, replace = [], os.fsync, Path.replace

    def recorded(descriptor):
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "content")
        sync(descriptor)

    def renamed(self, target):
        done.append("name")
        return replace(self, target)

    monkeypatch.setattr("os.fsync", recorded)
    monkeypatch.setattr("pathlib.Path.replace", renamed)
    write_text(tmp_path / "page.html", "new")
    assert done == ["content", "name", "folder"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_ends_early_leaves_nothing(tmp_path, monkeypatch, error):
    def full(descriptor):
        raise error

    write_text(tmp_path / "page.html", "old")
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(type(error)) as caught:
        write_bytes(tmp_path / "page.html", b"new")
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]
    if isinstance(error, OSError):
        assert "page.html" in str(caught.value)


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


def test_of_several_files_all_or_none_are_replaced(tmp_path):
    page, record, gone = (tmp_path / name for name in ("page", "record", "gone/record"))
    write_all({page: "old", record: b"old"})
    with pytest.raises(OSError, match="gone/record"):
        write_all({page: "new", gone: "new"})
    assert [path.read_text() for path in (page, record)] == ["old", "old"]
    assert sorted(tmp_path.iterdir()) == [page, record]
    write_all({page: "new", record: b"new"})
    assert [path.read_text() for path in (page, record)] == ["new", "new"]


def test_what_a_link_leads_to_is_replaced(tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("old")
    link.symlink_to(real)
    write_text(link, "new")
    assert link.is_symlink()
    assert real.read_text() == "new"


def test_no_file_is_put_in_the_place_of_what_is_none(tmp_path):
    """Root could: a device would be a file from then on."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="pipe"):
        write_text(pipe, "new")
    with pytest.raises(IsADirectoryError):
        write_text(tmp_path, "new")
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert list(tmp_path.iterdir()) == [pipe]
