"""Images are read by the stated rules, and what is none is one sentence that names it."""

from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from tilewright.vision import images
from tilewright.vision.errors import ImageError

RNG = np.random.default_rng(0)


def pixels(source):
    return np.asarray(images.read(source))


def test_eight_bits_are_as_they_are(tmp_path):
    colour = RNG.integers(0, 256, (5, 7, 3)).astype(np.uint8)
    Image.fromarray(colour).save(tmp_path / "c.png")
    np.testing.assert_array_equal(pixels(tmp_path / "c.png"), colour)
    np.testing.assert_array_equal(pixels(colour), colour)
    grey = colour[:, :, 0]
    for source in (grey, grey[:, :, None], Image.fromarray(grey)):
        np.testing.assert_array_equal(pixels(source), np.repeat(grey[:, :, None], 3, 2))


def test_sixteen_bits_keep_black_white_and_the_middle(tmp_path):
    wide = np.array([[0, 257 * 100, 257 * 100 + 128, 257 * 100 + 129, 65535]], np.uint16)
    Image.fromarray(wide).save(tmp_path / "w.png")
    for source in (tmp_path / "w.png", wide):
        assert pixels(source)[0, :, 0].tolist() == [0, 100, 100, 101, 255]


def test_floating_point_and_bool():
    assert pixels(np.array([[0.0, 0.5, 1.0]]))[0, :, 1].tolist() == [0, 128, 255]
    assert pixels(np.array([[False, True]]))[0, :, 1].tolist() == [0, 255]


def test_transparency_is_laid_on_white():
    layer = np.zeros((1, 3, 4), np.uint8)
    layer[0, :, 3] = 0, 255, 51
    assert pixels(layer)[0, :, 0].tolist() == [255, 0, 204]


def test_palettes_and_their_transparency(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    image.save(tmp_path / "p.png", transparency=1)
    assert pixels(tmp_path / "p.png")[0].tolist() == [[10, 20, 30], [255, 255, 255]]


def test_a_rotated_photograph_stands_upright(tmp_path):
    image = Image.fromarray(np.zeros((4, 8, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    image.save(tmp_path / "r.jpg", exif=exif)
    assert pixels(tmp_path / "r.jpg").shape == (8, 4, 3)


def test_of_an_animation_the_first_frame(tmp_path):
    frames = [Image.new("RGB", (3, 3), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert pixels(tmp_path / "a.gif")[0, 0].tolist() == [255, 0, 0]


def written(path, content):
    path.write_bytes(content)
    return path


def test_files_that_are_no_images_are_named(tmp_path):
    Image.fromarray(RNG.integers(0, 256, (64, 64, 3)).astype(np.uint8)).save(tmp_path / "x.jpg")
    whole = (tmp_path / "x.jpg").read_bytes()
    cases = {
        written(tmp_path / "cut.jpg", whole[: len(whole) // 2]): "cut.jpg is truncated or damaged",
        written(tmp_path / "text.png", b"hello"): "text.png is not an image that can be read",
        written(tmp_path / "empty.png", b""): "empty.png is not an image that can be read",
        tmp_path / "no.png": "There is no file .*no.png",
        tmp_path: "is a folder, not an image",
    }
    for path, words in cases.items():
        with pytest.raises(ImageError, match=words) as raised:
            images.read(path)
        assert str(raised.value).count("\n") == 0
    with Image.open(tmp_path / "cut.jpg") as opened, pytest.raises(ImageError, match="truncated"):
        images.read(opened, "image 3")


@pytest.mark.parametrize("kind", ["png", "jpg", "gif", "tif", "bmp", "webp"])
def test_damage_anywhere_is_an_image_error_or_an_image(kind, tmp_path):
    """Never another exception: a thousand decoders have a thousand ways to fail."""
    path = tmp_path / f"x.{kind}"
    Image.fromarray(RNG.integers(0, 256, (16, 16, 3)).astype(np.uint8)).save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(60):
        broken = bytearray(whole[: rng.integers(1, len(whole) + 1)])
        for at in rng.integers(0, len(broken), 3):
            broken[at] = rng.integers(256)
        path.write_bytes(broken)
        with suppress(ImageError):
            assert pixels(path).shape[2] == 3


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MOST_PIXELS", 99)
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    (tmp_path / "b.ppm").write_bytes(b"P6 10 10 255\n" + bytes(300))
    with pytest.raises(ImageError, match=r"b\.ppm has 10 x 10 pixels: 99 in all are allowed"):
        images.read(tmp_path / "b.ppm")


def test_arrays_that_are_no_images():
    cases = {
        r"has shape \(2, 2, 5\), not": np.zeros((2, 2, 5), np.uint8),
        "is a single number": np.uint8(3),
        "has no pixels": np.zeros((0, 4, 3), np.uint8),
        "is int64, not": np.zeros((2, 2), np.int64),
        "must be from 0 to 1": np.full((2, 2), 200.0),
        "has values that are not numbers": np.full((2, 2), np.nan),
    }
    for words, array in cases.items():
        with pytest.raises(ImageError, match=words):
            images.read(array, "image 3")
