"""Programs in files: the same bits, without JAX, and never anything but a whole file of ours."""

import collections
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import equinox
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import tilewright
from tests.graph.test_digests import GROUPS
from tilewright import saved
from tilewright.errors import ArgumentError, LoadError
from tilewright.saved import MAGIC

Gates = collections.namedtuple("Gates", "w b")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(7, 5)).astype(np.float32)
GATES = Gates(RNG.normal(size=(5, 3)).astype(np.float32), np.arange(3, dtype=np.float32))
DATA = RNG.normal(size=(7, 3)).astype(np.float32)


def cell(x, params, scale=1.0):
    h = jnp.tanh(x @ params["cell"].w + params["cell"].b) * scale
    return {"h": h + DATA, "last": (h[-1], None)}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "model.tw"


@pytest.fixture(scope="module")
def program():
    return tilewright.compile(cell, X, {"cell": GATES}, scale=2.0)


def same(ours, theirs):
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert (a.dtype, a.tobytes()) == (b.dtype, b.tobytes())


def reloaded(program, file, **options):
    program.save(file)
    return tilewright.load(file, **options)


@pytest.mark.parametrize("group", ["bfloat16", "loops", "batches", "strips of 3000 rows"])
def test_the_same_bits(group, file):
    function, arguments = GROUPS[group]
    program = tilewright.compile(function, *arguments)
    same(reloaded(program, file)(*arguments), program(*arguments))


def test_structures_and_names_are_kept(program, file):
    again = reloaded(program, file)
    params = {"cell": GATES}
    same(again(X, params, scale=3.0), program(X, params, scale=3.0))
    same(again(x=X, params=params, scale=3.0), program(X, params, scale=3.0))
    assert repr(again) == repr(program)
    with pytest.raises(ArgumentError, match=r"^params\['cell'\].w has shape \(3,\)"):
        again(X, {"cell": Gates(GATES.b, GATES.b)}, scale=1.0)
    with pytest.raises(ArgumentError, match=r"^The argument scale is missing"):
        again(X, params)
    with pytest.raises(ArgumentError, match="by position"):
        again(X, params, 1.0, X)


def test_what_is_bound_travels(program, file):
    bound = program.bind(params={"cell": GATES})
    again = reloaded(bound, file)
    same(again(X, scale=1.5), bound(X, scale=1.5))
    same(again.bind(scale=1.5)(X), bound(X, scale=1.5))
    same(reloaded(again.bind(X), file)(scale=0.5), bound(X, scale=0.5))
    assert "params" not in repr(again)
    with pytest.raises(ArgumentError, match="no free argument"):
        again(X, params={"cell": GATES}, scale=1.0)


def test_classes_of_users_travel_only_bound(file):
    """Nobody asks a bound argument for its class again."""
    linear = equinox.nn.Linear(5, 3, key=jax.random.key(0))
    program = tilewright.compile(lambda net, x: jax.vmap(net)(x), linear, X)
    with pytest.raises(ArgumentError, match=r"^net holds Linear, a class of pytrees that cannot"):
        program.save(file)
    assert not file.exists()
    bound = program.bind(linear)
    same(reloaded(bound, file)(X), bound(X))


def test_maps_can_be_followed(file):
    def chain(x):
        return lax.while_loop(lambda s: s.sum() > 1e-3, lambda s: s * 0.5, x)

    program = tilewright.compile(tilewright.tile_map(chain), X)
    again = reloaded(program, file)
    with again.start(X, stream=True) as run:
        rows = dict(run.finished(10))
    np.testing.assert_array_equal(np.stack([rows[i] for i in range(7)]), program(X))


def test_keys_and_work_on_closed_over_data(file):
    square = DATA.T @ DATA + np.eye(3, dtype=np.float32)

    def draw(key):
        return jnp.linalg.inv(square) @ jax.random.normal(key, (3,)), jax.random.split(key)

    program, key = tilewright.compile(draw, jax.random.key(3)), jax.random.key(5)
    again = reloaded(program, file)
    ours, theirs = again(key), program(key)
    np.testing.assert_array_equal(ours[0], theirs[0])
    same(*(jax.random.key_data(result[1]) for result in (ours, theirs)))


def test_tiles_are_those_of_the_user(file):
    program = tilewright.compile(jnp.tanh, X, tiles=1)
    assert reloaded(program, file).image.tiles == 1
    assert tilewright.load(file, tiles=3).image.tiles == 3
    wrong: list[Any] = [0, -1, 1.5, "2", True]
    for tiles in wrong:
        with pytest.raises(ArgumentError, match="tiles must be a positive whole number"):
            tilewright.load(file, tiles=tiles)


def test_what_has_no_graph_is_not_saved(file):
    with pytest.raises(ValueError, match='machine="xla" has no graph'):
        tilewright.compile(jnp.tanh, X, machine="xla").save(file)


def test_a_file_is_replaced_as_a_whole(program, file, monkeypatch):
    program.save(file)
    before = file.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        program.bind(X).save(file)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


ALONE = """
import sys, collections
import numpy as np, tilewright
Gates = collections.namedtuple("Gates", "w b")
folder = sys.argv[1]
x, w, b = (np.load(f"{folder}/{name}.npy") for name in "xwb")
program = tilewright.load(f"{folder}/model.tw")
result = program(x, {"cell": Gates(w, b)}, scale=2.0)
np.save(f"{folder}/h.npy", result["h"])
bound = tilewright.load(f"{folder}/bound.tw")
assert (bound(x, scale=2.0)["h"] == result["h"]).all()
with bound.start(x, scale=2.0) as run:
    run.result()
print([name for name in ("jax", "llvmlite", "tests") if name in sys.modules])
"""


def alone(folder, **environment):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ALONE, str(folder)],
        env=os.environ | {"TILEWRIGHT_CACHE": str(folder / "cache"), **environment},
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_process_without_jax(program, tmp_path):
    """The first compiles; the second finds all in the cache, and needs no compiler either.

    The named tuple is a class that they do not have: one of its name and fields will do.
    """
    expected = program(X, {"cell": GATES}, scale=2.0)["h"]
    program.save(tmp_path / "model.tw")
    program.bind(params={"cell": GATES}).save(tmp_path / "bound.tw")
    for name, array in (("x", X), ("w", GATES.w), ("b", GATES.b)):
        np.save(tmp_path / f"{name}.npy", array)
    assert alone(tmp_path) == "['llvmlite']"
    assert alone(tmp_path) == "[]"
    np.testing.assert_array_equal(np.load(tmp_path / "h.npy"), expected)
    assert alone(tmp_path, TILEWRIGHT_FEATURES="avx2") == "['llvmlite']"
    np.testing.assert_array_equal(np.load(tmp_path / "h.npy"), expected)


# Damage


def damages(good: bytes, count: int):
    """Bits flipped, ends and middles cut, bytes put in, blocks moved, other files' content."""
    draw = random.Random(0)
    for number in range(count):
        at, many = draw.randrange(len(good)), draw.randrange(1, 100)
        match number % 6:
            case 0:
                bad = bytearray(good)
                bad[at] ^= 1 << draw.randrange(8)
                yield bytes(bad)
            case 1:
                yield good[:at]
            case 2:
                yield good[:at] + good[at + many :]
            case 3:
                yield good[:at] + draw.randbytes(many) + good[at:]
            case 4:
                yield good[:at] + draw.randbytes(many) + good[at + many :]
            case _:
                yield draw.choice([b"", MAGIC, b"\x93NUMPY", b"\x7fELF", b"PK"]) + good[at:]


def message(file):
    with pytest.raises(LoadError) as caught:
        tilewright.load(file)
    text = str(caught.value)
    assert text.startswith(f"{file} ")
    assert text.endswith(".")
    assert "\n" not in text
    return text


def test_a_damaged_file_is_refused(program, file):
    program.save(file)
    good = file.read_bytes()
    assert saved.from_bytes(np.frombuffer(good, np.uint8)).text
    for bad in damages(good, 10_000):
        if bad == good:
            continue
        with pytest.raises(LoadError):
            saved.from_bytes(np.frombuffer(bad, np.uint8))
    for bad in damages(good, 60):
        file.write_bytes(bad)
        message(file)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is no program of tilewright's"),
        (b"PK\3\4" + bytes(1000), "is no program of tilewright's"),
        (MAGIC, "is damaged: its checksum is not that of its content"),
        (b"tilewright-program-2\nabc", "was saved by a version of tilewright with another format"),
    ],
)
def test_what_is_wrong_is_said(file, content, words):
    file.write_bytes(content)
    assert words in message(file)


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"model\.tw"):
        tilewright.load(tmp_path / "model.tw")
    with pytest.raises(IsADirectoryError):
        tilewright.load(tmp_path)


def forged(path: Path, old: bytes, new: bytes) -> None:
    """Change a file's head or graph, with the checksum; data stay on their lines."""
    head, rest = path.read_bytes()[len(MAGIC) + 65 :].split(b"\n", 1)
    size = json.loads(head)["graph"]
    text, data = rest[:size], rest[size:]
    assert (old in head) != (old in text)
    if old in head:
        changed = head.replace(old, new, 1)
    else:
        text = text.replace(old, new, 1)
        changed = json.dumps(json.loads(head) | {"graph": len(text)}).encode()
    changed += b" " * (-(len(changed) + len(text) - len(head) - size) % 64)
    path.write_bytes(saved.sealed(changed + b"\n" + text + data))


FORGED = {
    "another type": (b'"inputs": [["float32", [7, 5]]', b'"inputs": [["float32", [7, 6]]'),
    "a result more": (b'"outputs": [', b'"outputs": [["float32", [9]], '),
    "another constant": (b'"arrays": [["float32", [7, 3]]]', b'"arrays": [["float32", [3, 7]]]'),
    "a larger one": (b'"arrays": [["float32", [7, 3]]]', b'"arrays": [["float32", [7, 9]]]'),
    "less than none": (b'"arrays": [["float32", [7, 3]]]', b'"arrays": [["float32", [-7, -3]]]'),
    "no operation": (b"= tanh(", b"= system("),
    "a value not defined": (b"tanh(%", b"tanh(%9"),
    "code for a parameter": (b"shape=(", b"shape=open("),
    "another shape": (b": float32[7,3] = dot", b": float32[3,7] = dot"),
    "a dtype of objects": (b'["float32", [7, 3]]', b'["object", [7, 3]]'),
    "a container": (b'"dict"', b'"evil"'),
    "a position": (b'"positional": 3', b'"positional": 9'),
    "fewer tiles than one": (b'"tiles": null', b'"tiles": -2'),
    "a result without a place": (
        b'["leaf", [], [], ""], ["none", [], [], ""]',
        b'["none", [], [], ""], ["none", [], [], ""]',
    ),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_right_checksum_is_not_enough(program, file, name):
    """What is in the file is not believed: a graph is verified, types are compared."""
    program.save(file)
    forged(file, *FORGED[name])
    absent = "data that are not there" in message(file)
    assert absent == (name in ("a larger one", "less than none"))


def test_what_is_bound_has_the_types_of_the_arguments(program, file):
    program.bind(X).save(file)
    forged(file, b'[7, 3]], ["float32", [7, 5]]]', b'[7, 3]], ["int32", [7, 5]]]')
    assert "for argument 0" in message(file)


def test_data_of_a_file_are_not_written_to(program, file):
    program.bind(X).save(file)
    read = saved.read(file)
    for array in (*read.constants, *read.bound[0]):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0


def test_damage_under_a_right_checksum_never_crashes(program, file):
    """It is refused, or is another program that is as good as any."""
    program.save(file)
    content = file.read_bytes()[len(MAGIC) + 65 :]
    draw = random.Random(1)
    start = content.index(b"graph(")
    refused = 0
    for number in range(60):
        bad = bytearray(content)
        at = draw.randrange(start) if number % 2 else draw.randrange(start, start + 400)
        bad[at] = draw.choice(b"0123456789,[]()%abc\n ")
        file.write_bytes(saved.sealed(bytes(bad)))
        try:
            tilewright.load(file)
        except LoadError:
            refused += 1
    assert refused > 30
