"""Arrays of files that NumPy wrote, against NumPy's own reader."""

import io

import numpy as np
import pytest

from tilewright.alpha.errors import AlphaError
from tilewright.alpha.walking.archive import arrays_in, arrays_of

ARRAYS = {
    "numbers": np.arange(12, dtype=np.float32).reshape(3, 4),
    "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "flags": np.array([True, False]),
    "none": np.zeros((0, 28)),
    "word": np.array("chains disagree"),
    "number": np.array(1.5),
    "backwards": np.arange(3, dtype=">i4"),
}


def content(save=np.savez) -> bytes:
    file = io.BytesIO()
    save(file, **ARRAYS)
    return file.getvalue()


def test_the_same_as_numpy():
    found = arrays_of(content())
    with np.load(io.BytesIO(content())) as file:
        assert found.keys() == set(file)
        for name, array in file.items():
            assert found[name].dtype == array.dtype
            assert found[name].flags.f_contiguous == array.flags.f_contiguous
            assert found[name].flags.writeable
            np.testing.assert_array_equal(found[name], array, strict=True)


def test_every_bit_of_an_array_counts():
    whole = bytearray(content())
    place = whole.index(ARRAYS["numbers"].tobytes())
    whole[place + 5] ^= 1
    with pytest.raises(ValueError, match=r"numbers\.npy is damaged"):
        arrays_of(bytes(whole))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_half_a_file_is_refused(share):
    whole = content()
    with pytest.raises(Exception, match="zip"):
        arrays_of(whole[: int(share * len(whole))])


def test_what_is_compressed_is_refused():
    with pytest.raises(ValueError, match="compressed"):
        arrays_of(content(np.savez_compressed))


@pytest.mark.parametrize("share", [0, 0.5])
def test_a_damaged_file_of_a_job_is_named(share, tmp_path):
    path = tmp_path / "2020-01-01-0.npz"
    path.write_bytes(content()[: int(share * len(content()))])
    with pytest.raises(AlphaError, match=r"2020-01-01-0\.npz is damaged: remove it"):
        arrays_in(path)
