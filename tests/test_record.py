"""What names entries of the cache: every source file of ours, and what tells of a change."""

from pathlib import Path

from tilewright import record


def test_every_source_file_is_a_line():
    home = Path(record.__file__).parent
    lines = list(record._sources(str(home)))
    names = {line.split(" ")[0] for line in lines}
    assert names == {path.relative_to(home).as_posix() for path in home.rglob("*.py")}
    assert len(lines) == len(names)


def test_a_change_is_another_line(tmp_path):
    (tmp_path / "part").mkdir()
    source = tmp_path / "part" / "one.py"
    source.write_text("a = 1\n")
    (tmp_path / "notes.txt").write_text("no source")
    seen = []
    for content in ("a = 1\n", "a = 10\n", "a = 100\n"):
        source.write_text(content)
        seen += record._sources(str(tmp_path))
    assert len(set(seen)) == 3
    assert all(line.startswith("part/one.py ") for line in seen)
