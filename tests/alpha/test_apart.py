"""Integrals and quantiles by halving, where the answer is known."""

import numpy as np
import pytest
from scipy.special import ndtr

from tilewright.alpha.apart import inverse, spread

CENTRE, WIDTH = np.array([0.0, 40.0, -3.0]), np.array([1.0, 50.0, 1e4])


@pytest.mark.parametrize("size", [1e-3, 1.0, 30.0])
def test_the_spread_of_a_normal_distribution(size):
    """Half of the mean distance of two outcomes: size / root(pi), wherever it is looked for."""
    found = spread(lambda x, rows: ndtr((x - CENTRE[rows] - 0.5) / size), CENTRE, WIDTH)
    error = 1e-4 * WIDTH + 1e-12
    assert (np.abs(found - size / np.sqrt(np.pi)) < error).all()


def test_two_points_are_their_distance_apart():
    """A quarter of it: steps, and nothing between."""
    found = spread(lambda x, rows: 0.5 * (x > 0.3) + 0.5 * (x > 7.3), CENTRE[:1], WIDTH[:1])
    np.testing.assert_allclose(found, 7 / 4, rtol=1e-4)


def test_where_a_level_is_reached():
    low, high = np.array([-50.0, -1.0]), np.array([1e6, 9.0])
    found = inverse(lambda x: ndtr(x - np.array([1.0, 2.0])), ndtr(-1.0), low, high)
    np.testing.assert_allclose(found, [0.0, 1.0], atol=1e-9)
