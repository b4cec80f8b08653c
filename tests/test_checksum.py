"""The checksum of a file: whatever changes is seen, threads or not, from memory or from a file."""

import hashlib

import numpy as np
import pytest

from tilewright import checksum as module
from tilewright.checksum import checksum, from_file

DATA = np.random.default_rng(0).integers(0, 256, 10_007, np.uint8)


@pytest.fixture(params=[1, 2, 5], autouse=True)
def threads(request, monkeypatch):
    monkeypatch.setattr(module, "PIECE", 256)
    monkeypatch.setattr(module, "cpu_limit", lambda: request.param)


def of(data):
    return checksum(np.ascontiguousarray(data).data)


def test_it_is_the_digest_of_digests():
    content = DATA.tobytes()
    pieces = [content[at : at + 256] for at in range(0, len(content), 256)]
    digests = b"".join(hashlib.sha256(piece).digest() for piece in pieces)
    assert of(DATA) == hashlib.sha256(digests).hexdigest()
    assert of(DATA[:0]) == hashlib.sha256(b"").hexdigest()


def test_every_change_is_seen():
    """Each byte changed, each end, pieces that change places, a piece more of nothing."""
    seen = {of(DATA), of(DATA[::-1]), of(np.roll(DATA, 256)), of(np.append(DATA, np.uint8(0)))}
    seen |= {of(DATA[:end]) for end in range(0, len(DATA), 97)}
    count = 4 + len(range(0, len(DATA), 97))
    for at in range(0, len(DATA), 61):
        changed = DATA.copy()
        changed[at] ^= 1
        seen.add(of(changed))
        count += 1
    assert len(seen) == count


def test_a_file_is_read_on_the_way(tmp_path):
    path, start = tmp_path / "file", 13
    path.write_bytes(bytes(start) + DATA.tobytes())
    room = np.zeros_like(DATA)
    with path.open("rb") as file:
        found = checksum(room.data, from_file(file.fileno(), room.data, start))
    assert found == of(DATA)
    np.testing.assert_array_equal(room, DATA)


def test_what_goes_wrong_in_a_thread_is_raised(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(DATA[:5000].tobytes())
    room = np.zeros_like(DATA)
    with path.open("rb") as file, pytest.raises(OSError, match="became shorter"):
        checksum(room.data, from_file(file.fileno(), room.data, 0))
