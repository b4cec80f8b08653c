"""The environment variables."""

import re
from pathlib import Path

import pytest

from tilewright import env


def test_defaults():
    found = env.read({"XDG_CACHE_HOME": "/somewhere"})
    assert found.cache == Path("/somewhere/tilewright")
    assert found.dump is found.tiles is found.features is None


def test_values():
    found = env.read(
        {"TILEWRIGHT_CACHE": "off", "TILEWRIGHT_TILES": "3", "TILEWRIGHT_CACHE_MB": "2"}
    )
    assert found.cache is None
    assert found.tiles == 3
    assert found.cache_bytes == 2 << 20


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TILEWRIGHT_TILES", "none"),
        ("TILEWRIGHT_TILES", "0"),
        ("TILEWRIGHT_CACHE_MB", "-1"),
        ("TILEWRIGHT_FEATURES", "sse"),
    ],
)
def test_nonsense_is_refused(name, value):
    with pytest.raises(ValueError, match=name):
        env.read({name: value})


def test_nothing_else_reads_the_environment():
    """Handing all of it on to a helper process is no reading, except for PYTHONPATH."""
    root = Path(env.__file__).parent
    reads = re.compile(r"getenv|environ(\.get\(|\[)(?!.PYTHONPATH)")
    readers = {path.name for path in root.rglob("*.py") if reads.search(path.read_text())}
    assert readers == set()


def test_fewer_than_ten_and_all_described():
    """What is read is what the module's docstring lists."""

    class Asked(dict):
        def get(self, name, default=None):
            asked.add(name)
            return super().get(name, default)

    asked: set[str] = set()
    env.read(Asked())
    ours = {name for name in asked if name.startswith("TILEWRIGHT_")}
    assert 0 < len(ours) < 10
    assert env.__doc__ is not None
    assert ours == set(re.findall("^    (TILEWRIGHT_[A-Z_]+)", env.__doc__, re.MULTILINE))
