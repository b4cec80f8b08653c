"""Numbers with their kinds, and what may be divided by what."""

import pytest

from tilewright.errors import ArgumentError
from tilewright.talk.figures import (
    CLAIMED,
    EXTRAPOLATED,
    MODELLED,
    PUBLISHED,
    Figure,
    measured,
    times_as_fast,
)


def test_a_ratio_is_the_median_over_rounds():
    ours, its = measured("a", [1.0, 2.0, 4.0]), measured("a", [2.0, 6.0, 4.0])
    assert times_as_fast(ours, its).value == 2.0
    assert times_as_fast(its, ours).value == 0.5


def test_of_rates_more_is_better():
    ours = measured("a", [1.0, 1.0], "images/s", 8)
    its = measured("a", [2.0, 2.0], "images/s", 8)
    assert ours.value == 8.0
    assert times_as_fast(ours, its).value == 2.0


@pytest.mark.parametrize("kind", [CLAIMED, EXTRAPOLATED, MODELLED, PUBLISHED])
@pytest.mark.parametrize("first", [True, False])
def test_nothing_but_measured_figures_is_divided(kind, first):
    ours, other = measured("a", [1.0]), Figure(15.0, "s", kind, "somebody", "a", (15.0,))
    with pytest.raises(ArgumentError, match=f"two measured figures; one of these is {kind}"):
        times_as_fast(*((other, ours) if first else (ours, other)))


def test_nor_figures_of_two_runs():
    with pytest.raises(ArgumentError, match="of one run, not of 'a' and 'b'"):
        times_as_fast(measured("a", [1.0]), measured("b", [1.0]))


def test_nor_figures_in_two_units_or_of_unequal_rounds():
    for other in (measured("a", [1.0], "ms"), measured("a", [1.0, 1.0])):
        with pytest.raises(ArgumentError, match="in one unit, round by round"):
            times_as_fast(measured("a", [1.0]), other)


def test_a_figure_says_where_it_is_from():
    with pytest.raises(ArgumentError, match="names its run"):
        Figure(1.0, "s")
    with pytest.raises(ArgumentError, match="published figure names its source"):
        Figure(1.0, "s", PUBLISHED)
    with pytest.raises(ArgumentError, match="not 'guessed'"):
        Figure(1.0, "s", "guessed")
