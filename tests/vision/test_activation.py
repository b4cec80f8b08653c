"""Activation maps: their mean is the logit, and they glow where the class is."""

import numpy as np

from tests.vision.nets import RESIDUAL, SMALL, model, pixels
from tilewright.vision.activation import activation_maps, overlaid


def test_the_mean_of_a_map_is_the_logit():
    for net in (SMALL, RESIDUAL):
        one, images, classes = model(net).at(64), pixels(2, 64), np.array([1, 4])
        maps = activation_maps(one, images, classes)
        shift = np.asarray(one.weights.classes.shift)[classes]
        wanted = one.logits(images)[[0, 1], classes]
        assert maps.shape[1:] == (2, 2)
        np.testing.assert_allclose(maps.mean(axis=(1, 2)) + shift, wanted, 1e-3, 1e-3)


def test_the_glow_is_where_the_heat_is():
    image, heat = np.full((64, 64, 3), 90, np.uint8), np.zeros((4, 4))
    np.testing.assert_array_equal(np.asarray(overlaid(image, heat, 1.0)), image)
    heat[0, 0] = 1
    changed = np.any(np.asarray(overlaid(image, heat, 1.0)) != image, axis=2)
    assert changed[:16, :16].all()
    assert not changed[40:, 40:].any()
