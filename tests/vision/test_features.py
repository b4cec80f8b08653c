"""Features of images: each looked at once, known again by its content."""

import numpy as np
import pytest
from PIL import Image

from tests.vision.nets import LITE, PREPARED, model, pixels
from tilewright.errors import ArgumentError
from tilewright.vision import extract_features
from tilewright.vision.errors import ImageError
from tilewright.vision.features import extracted
from tilewright.vision.features_cache import FeaturesCache

NET = model()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A folder of the test's own."""
    folder = tmp_path / "cache"
    defaults = (folder, 1 << 20)
    monkeypatch.setattr(FeaturesCache.__init__, "__defaults__", defaults)
    return folder


def test_they_are_the_models(tmp_path):
    images = pixels(3, 40)
    prepared = np.stack([PREPARED.pixels(Image.fromarray(image)) for image in images])
    found = extract_features(images, NET)
    np.testing.assert_array_equal(found, NET.features(prepared))
    assert extract_features(images, NET, size=48).shape == (3, LITE.head.outputs)


def test_what_was_seen_is_not_looked_at_again(monkeypatch):
    images = [*pixels(3, 32), pixels(1, 32)[0]]  # the last one is the first
    looked = []
    real = type(NET).features
    monkeypatch.setattr(
        type(NET), "features", lambda self, x, machine: looked.append(len(x)) or real(self, x)
    )
    first = extracted(NET, images).rows
    again = extracted(NET, images[::-1]).rows
    assert looked == [3]
    np.testing.assert_array_equal(again[::-1], first)
    np.testing.assert_array_equal(first[3], first[0])
    extracted(NET.at(16), images[:1])  # another net, for what counts
    extracted(NET, images[:1], cache=False)
    assert looked == [3, 1, 1]


def test_a_broken_file_is_raised_or_left_out(tmp_path):
    files = [tmp_path / f"{n}.png" for n in range(3)]
    for path, image in zip(files, pixels(3, 32), strict=True):
        Image.fromarray(image).save(path)
    files[1].write_text("no image")
    files.append(tmp_path / "gone.png")
    with pytest.raises(ImageError, match=r"gone\.png cannot be read"):
        extract_features(files, NET)
    found = extracted(NET, files, on_bad="skip")
    assert found.good.tolist() == [0, 2]
    assert len(found.rows) == 2
    assert [sentence.split("/")[-1][:8] for sentence in found.bad] == ["gone.png", "1.png is"]


def test_a_cache_that_cannot_be_used_is_none(tmp_path, cache):
    cache.mkdir(mode=0o700)
    (cache / "features.sqlite").write_text("this is no database" * 100)
    np.testing.assert_array_equal(
        extract_features(pixels(2), NET), extract_features(pixels(2), NET, cache=False)
    )
    nowhere = FeaturesCache("x", None)
    nowhere.put({"a": np.ones(3)})
    assert nowhere.get(["a"]) == {}


def test_the_oldest_make_room(tmp_path):
    small = FeaturesCache("x", tmp_path / "small", most_bytes=10 * 4 * 8)
    for number in range(40):
        small.put({f"{number}": np.full(8, number)})
    known = small.get([str(n) for n in range(40)])
    assert 1 <= len(known) <= 10
    assert set(known) == {str(n) for n in range(40 - len(known), 40)}
    np.testing.assert_array_equal(known["39"], np.full(8, 39))


def test_no_images(tmp_path):
    with pytest.raises(ArgumentError, match="X holds no images"):
        extract_features([], NET)
