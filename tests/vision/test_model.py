"""Models answer; an image has the same bits alone or among others."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from tests.vision.nets import LITE, RESIDUAL, model, pixels
from tilewright.errors import ArgumentError
from tilewright.vision.nets import module


def test_answers_are_the_nets_and_do_not_depend_on_company():
    net, images = model(), pixels(19)
    given = net.preprocessing.normalised(images)
    logits = net.logits(images)
    theirs = jax.jit(lambda *a: module(LITE).predict(LITE, *a))(net.weights, net.kept, given)
    np.testing.assert_allclose(logits, theirs, 1e-4, 1e-5 * np.abs(theirs).max())
    np.testing.assert_array_equal(net.logits(images[3:4]), logits[3:4])
    np.testing.assert_array_equal(net.logits(images[::-1]), logits[::-1])


def test_features_are_what_the_last_layer_reads():
    net, images = model(RESIDUAL), pixels(3)
    features, classes = net.features(images), net.weights.classes
    assert features.shape == (3, RESIDUAL.features)
    logits = features @ classes.kernel + classes.shift
    np.testing.assert_allclose(net.logits(images), logits, 1e-4, 1e-4 * np.abs(logits).max())
    assert net.features(images[:0]).shape == (0, RESIDUAL.features)


def test_images_of_another_shape_or_type():
    with pytest.raises(ArgumentError, match=r"must be uint8 of n x 32 x 32 x 3.*uint8 of 1x8x8x3"):
        model().logits(pixels(1, 8))
    with pytest.raises(ArgumentError, match="not float64"):
        model().logits(pixels(1) / 255)


def test_a_new_last_layer_finds_all_classes_as_likely():
    net = model().for_classes(["cat", "dog", "cow"])
    assert net.labels == ("cat", "dog", "cow")
    assert not net.logits(pixels(1)).any()


def test_the_fingerprint_is_of_what_features_depend_on():
    one = model()
    assert one.fingerprint == model().for_classes(["x", "y"]).fingerprint
    others = [one.at(64), model(RESIDUAL)]
    moved = one.kept._replace(stem=jax.tree.map(lambda a: a + 1, one.kept.stem))
    others.append(replace(one, kept=moved))
    assert len({one.fingerprint, *(other.fingerprint for other in others)}) == 4


def test_labels_that_do_not_fit():
    with pytest.raises(ArgumentError, match="labels must be 5, one for each class of the net, not"):
        model(labels=("a",))
