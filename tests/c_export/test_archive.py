"""Static libraries, as binutils reads them, and by hand."""

import shutil
import struct
import subprocess

import pytest

from tilewright.c_export.archive import static_library

MEMBERS = [("one.o", b"first", ["f", "g"]), ("second.o", b"second", []), ("three.o", b"3", ["h"])]


def test_the_table_says_where_each_symbol_is_defined():
    content = static_library(MEMBERS)
    assert content[8:10] == b"/ "
    places = struct.unpack_from(">4I", content, 68)[1:]
    assert [content[at : at + 8] for at in places] == [b"one.o/  ", b"one.o/  ", b"three.o/"]
    assert b"f\0g\0h\0" in content
    for at, data in zip(places[1:], (b"first", b"3"), strict=True):
        assert content[at + 60 : at + 60 + len(data)] == data
        assert content[at + 58 : at + 60] == b"`\n"


@pytest.mark.skipif(shutil.which("ar") is None, reason="no ar on this host")
def test_as_ar_reads_it(tmp_path):
    path = tmp_path / "lib.a"
    path.write_bytes(static_library(MEMBERS))
    listed = subprocess.run(["ar", "t", path], capture_output=True, text=True, check=True)
    assert listed.stdout.split() == ["one.o", "second.o", "three.o"]
    shown = subprocess.run(["ar", "p", path, "second.o"], capture_output=True, check=True)
    assert shown.stdout == b"second"
