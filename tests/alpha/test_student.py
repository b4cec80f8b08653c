"""Tables of the Student-t distribution against scipy's functions."""

import numpy as np
import pytest
import scipy.stats

from tilewright.alpha.student import Student, partial_mean, student_cdf

PLACES = np.sinh(np.linspace(-9, 9, 5001))
DEGREES = np.array([1.01, 1.3, 2.2, 2.8, 4.7, 9.3, 33.0, 190.0, 1e4])


def test_far_tails():
    assert student_cdf(np.array([-1e9, 1e9]), 4.0) == pytest.approx([0, 1], abs=1e-12)


def test_tables_of_draws():
    every = Student(DEGREES)
    expected = scipy.stats.t.cdf(PLACES, DEGREES[:, None])
    found = every.cdf(np.broadcast_to(PLACES, expected.shape))
    np.testing.assert_allclose(found, expected, atol=2e-7)
    np.testing.assert_array_equal(every.cdf_of(4, PLACES.reshape(1, -1))[0], found[4])


@pytest.mark.parametrize("df", [2.5, 30.0, np.inf])
def test_one_number(df):
    expected = scipy.stats.t.cdf(PLACES, df)
    np.testing.assert_allclose(Student(df).cdf(PLACES), expected, atol=1e-7)
    np.testing.assert_array_equal(Student(df).cdf_of(0, PLACES), Student(df).cdf(PLACES))


@pytest.mark.parametrize("df", [2.5, 30.0, np.inf])
@pytest.mark.parametrize("z", [-2.0, 0.0, 1.0])
def test_partial_means(df, z):
    x = z - np.expm1(np.linspace(0, 12, 20_001))[::-1]
    density = scipy.stats.t.pdf(x, df)
    assert partial_mean(np.array(z), df) == pytest.approx(np.trapezoid(x * density, x), rel=1e-3)
