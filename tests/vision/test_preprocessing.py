"""What is done to an image before a net reads it."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tilewright.errors import ArgumentError
from tilewright.vision.preprocessing import Preprocessing, from_fields


def test_the_middle_of_the_shorter_side_is_cut_out():
    """Resizing and cropping in one step is what they are one after the other."""
    values = np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    image = Image.fromarray(values)
    prepared = Preprocessing(size=16, resize=32, interpolation="bilinear")
    by_hand = image.resize((48, 32), Image.Resampling.BILINEAR).crop((16, 8, 32, 24))
    ours, theirs = prepared.pixels(image).astype(int), np.asarray(by_hand).astype(int)
    assert ours.shape == (16, 16, 3)
    assert np.abs(ours - theirs)[1:-1, 1:-1].max() <= 1  # the rim sees nothing outside of the box


def test_squashed_images_keep_both_sides():
    """Nothing is lost of the longer one; the share that is cut away is each side's own."""
    values = np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    image = Image.fromarray(values)
    whole = Preprocessing(16, 16, "bilinear", crop="squash").pixels(image)
    np.testing.assert_array_equal(whole, image.resize((16, 16), Image.Resampling.BILINEAR))
    prepared = Preprocessing(16, 32, "bilinear", crop="squash")
    by_hand = image.resize((32, 32), Image.Resampling.BILINEAR).crop((8, 8, 24, 24))
    ours, theirs = prepared.pixels(image).astype(int), np.asarray(by_hand).astype(int)
    assert np.abs(ours - theirs)[1:-1, 1:-1].max() <= 1
    assert prepared.at(8) == Preprocessing(8, 16, "bilinear", crop="squash")


def test_nothing_is_cut_where_sizes_are_equal():
    values = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    np.testing.assert_array_equal(Preprocessing(8, 8).pixels(Image.fromarray(values)), values)


def test_normalising():
    prepared = Preprocessing(4, 4, mean=(0.5, 0.25, 0), std=(0.5, 0.25, 1))
    image = np.full((4, 4, 3), 255, np.uint8)
    np.testing.assert_allclose(prepared.normalised(image)[0, 0], [1, 3, 1], 1e-6)
    assert prepared.normalised(image).dtype == np.float32


def test_another_size_cuts_the_same_share():
    assert Preprocessing(224, 256).at(112) == Preprocessing(112, 128)


def test_fields_go_to_and_fro():
    prepared = Preprocessing(100, 120, "lanczos", (0.1, 0.2, 0.3), (1.0, 2.0, 3.0), "squash")
    assert from_fields(prepared.fields()) == prepared


@pytest.mark.parametrize("fields, words", [
    (dict(size=0), "size and resize must be from 1 to 4096"),
    (dict(size=300), "resize no smaller, not 300 and 256"),
    (dict(interpolation="cubic"), "interpolation must be one of nearest, bilinear"),
    (dict(mean=(0.5, 0.5)), "mean must be three numbers"),
    (dict(std=(0.5, 0.0, 1.0)), "std must be above 0"),
    (dict(crop="border"), "crop must be one of center, squash, not 'border'"),
])  # fmt: skip
def test_what_cannot_be(fields, words):
    with pytest.raises(ArgumentError, match=words):
        Preprocessing(**fields)


def test_a_usual_crop_has_the_fields_that_it_always_had():
    usual = Preprocessing(32, 36)
    assert set(usual.fields()) == {"size", "resize", "interpolation", "mean", "std"}
    for prepared in usual, replace(usual, crop="squash"):
        assert from_fields(prepared.fields()) == prepared
