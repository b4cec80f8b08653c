"""Random changes of images: within their bounds, and the same for the same seed."""

import numpy as np
import pytest
from PIL import Image

from tilewright.errors import ArgumentError
from tilewright.vision.augment import Augment, generator
from tilewright.vision.preprocessing import Preprocessing

PREPARED = Preprocessing(16, 16, "bilinear")
IMAGE = Image.fromarray(np.linspace(0, 255, 40 * 24 * 3).reshape(40, 24, 3).astype(np.uint8))


def versions(augment, count=40):
    return [augment.pixels(IMAGE, PREPARED, generator(0, 0, n)) for n in range(count)]


def test_the_same_seed_epoch_and_image_give_the_same():
    augment = Augment(colour=0.3)
    one = augment.pixels(IMAGE, PREPARED, generator(1, 2, 3))
    np.testing.assert_array_equal(one, augment.pixels(IMAGE, PREPARED, generator(1, 2, 3)))
    for other in ((2, 2, 3), (1, 3, 3), (1, 2, 4)):
        assert (one != augment.pixels(IMAGE, PREPARED, generator(*other))).any()


def test_without_any_change_it_is_what_answers_are_given_on():
    plain = Augment("none", 1.0, 0.0)
    for found in versions(plain, 3):
        np.testing.assert_array_equal(found, PREPARED.pixels(IMAGE))


@pytest.mark.parametrize("flip, kinds", [("horizontal", 2), ("both", 4)])
def test_flips(flip, kinds):
    found = {one.tobytes() for one in versions(Augment(flip, 1.0))}
    plain = PREPARED.pixels(IMAGE)
    turned = [plain, plain[:, ::-1], plain[::-1], plain[::-1, ::-1]][:kinds]
    assert found == {np.ascontiguousarray(one).tobytes() for one in turned}


def test_what_is_cut_out_is_inside():
    """A step across the image stays a step: its mean tells where the part was."""
    found = np.array([one.mean() for one in versions(Augment("none", 0.25), 200)])
    assert found.std() > 5
    assert abs(found.mean() - np.asarray(IMAGE).mean()) < 6


@pytest.mark.parametrize("given, words", [
    (dict(flip="up"), "flip must be one of none, horizontal, both"),
    (dict(crop=0), "crop must be above 0"),
    (dict(crop=1.5), "crop must be above 0, and 1 at most"),
    (dict(colour=1), "colour must be 0 or more, and below 1"),
])  # fmt: skip
def test_what_cannot_be(given, words):
    with pytest.raises(ArgumentError, match=words):
        Augment(**given)
