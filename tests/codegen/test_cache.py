"""The object cache: found again, never trusted blindly, bounded."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tilewright.codegen import cache, host, target
from tilewright.codegen.host import CompiledObject
from tilewright.codegen.target import Target

TEXT = "define i64 @f() {\n  ret i64 42\n}\n"


@pytest.fixture
def compiles(monkeypatch):
    """Texts that were really compiled."""
    seen = []
    real = host.compile_text

    def compile_text(text, target):
        seen.append(text)
        return real(text, target)

    monkeypatch.setattr(host, "compile_text", compile_text)
    return seen


def entry(folder: Path) -> Path:
    (path,) = folder.glob("*.object")
    return path


def test_compiled_once(tmp_path, compiles):
    folder = tmp_path / "new" / "cache"
    first = cache.compile_cached(TEXT, folder=folder)
    second = cache.compile_cached(TEXT, folder=folder)
    assert first.parts == second.parts
    assert len(compiles) == 1
    assert folder.stat().st_mode & 0o777 == 0o700
    assert entry(folder).stat().st_mode & 0o077 == 0


def test_the_key_holds_all_that_matters(monkeypatch):
    given = host.host_target()
    keys = {
        cache.key(TEXT),
        cache.key(TEXT + " "),
        cache.key(TEXT, given),
        cache.key(TEXT, Target("haswell", given.features)),
        cache.key(TEXT, Target(given.cpu, "+avx2")),
    }
    assert cache.key(TEXT, Target("ab", "c")) != cache.key(TEXT, Target("a", "bc"))
    monkeypatch.setattr(target, "PASSES", ("sroa",))
    keys.add(cache.key(TEXT))
    monkeypatch.setattr(target, "installed", lambda package: "0")
    keys.add(cache.key(TEXT))
    monkeypatch.setattr(target, "host", lambda: ("another",))
    keys.add(cache.key(TEXT))
    monkeypatch.setattr(target, "ENVIRONMENT", replace(target.ENVIRONMENT, features="avx2"))
    keys.add(cache.key(TEXT))
    assert len(keys) == 9


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: b"something else" + data,
        lambda data: data + b"x",
    ],
    ids=["empty", "short", "flipped", "foreign", "long"],
)
def test_a_corrupt_entry_is_rebuilt(tmp_path, compiles, damage):
    good = cache.compile_cached(TEXT, folder=tmp_path)
    path = entry(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    assert cache.compile_cached(TEXT, folder=tmp_path).parts == good.parts
    assert len(compiles) == 2
    assert cache.read_entry(path) is not None


def test_links_and_folders_in_place_of_an_entry(tmp_path, compiles):
    cache.compile_cached(TEXT, folder=tmp_path)
    path = entry(tmp_path)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    cache.compile_cached(TEXT, folder=tmp_path)
    path.unlink()
    path.mkdir()
    cache.compile_cached(TEXT, folder=tmp_path)
    assert len(compiles) == 3


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o722])
def test_a_folder_that_others_may_write_is_not_used(tmp_path, compiles, mode):
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(mode)
    for _ in range(2):
        cache.compile_cached(TEXT, folder=folder)
    assert len(compiles) == 2
    assert not list(folder.iterdir())


def test_a_folder_of_another_user_is_not_used(tmp_path, monkeypatch):
    assert cache.usable_folder(tmp_path)
    monkeypatch.setattr(cache.os, "getuid", lambda: os.geteuid() + 1)
    assert not cache.usable_folder(tmp_path)


def test_an_entry_of_another_user_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "one.object"
    cache.write_content(path, b"ours")
    assert cache.read_content(path) == b"ours"
    monkeypatch.setattr(cache.os, "getuid", lambda: os.geteuid() + 1)
    assert cache.read_content(path) is None


def test_a_file_in_place_of_the_folder(tmp_path, compiles):
    (tmp_path / "file").write_text("")
    cache.compile_cached(TEXT, folder=tmp_path / "file")
    cache.compile_cached(TEXT, folder=None)
    assert len(compiles) == 2


def test_the_oldest_entries_go(tmp_path):
    for age, name in enumerate(("new", "middle", "old")):
        path = tmp_path / f"{name}.object"
        cache.write_content(path, CompiledObject((bytes(1000),)).to_bytes())
        then = time.time() - 100 * age
        os.utime(path, (then, then))
    (tmp_path / "not ours.txt").write_text("x" * 5000)
    cache.read_entry(tmp_path / "old.object")  # using it makes it the newest
    cache.shrink(tmp_path, 2500)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"new.object", "old.object", "not ours.txt"}


def test_a_full_folder_is_looked_through_now_and_then(tmp_path):
    names = [f"{first:x}{second:x}.object" for first in range(1, 16) for second in range(4)]
    for name in names:
        cache.store(tmp_path / name, bytes(1000), limit=2500)
    assert len(list(tmp_path.iterdir())) == len(names)
    cache.store(tmp_path / "0.object", bytes(1000), limit=2500)
    assert len(list(tmp_path.iterdir())) == 2


def test_two_processes_share_a_folder(tmp_path):
    script = f"""
from pathlib import Path
from tilewright.codegen import cache
for i in range(30):
    text = {TEXT!r}.replace("42", str(i % 5))
    assert len(cache.compile_cached(text, folder=Path({str(tmp_path)!r})).parts) == 1
    if i % 10 == 9:
        cache.shrink(Path({str(tmp_path)!r}), 0)
"""
    root = Path(__file__).parents[2]
    both = [
        subprocess.Popen([sys.executable, "-c", script], cwd=root, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    for process in both:
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 0, errors.decode()
    assert all(cache.read_entry(path) for path in tmp_path.glob("*.object"))
    assert not list(tmp_path.glob("*.partial"))
