"""Windows tile the days from the first on, and a day more leaves them as they are."""

from dataclasses import replace

import pytest

from tests.alpha.scale.small import PRICES, SMALL
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.scale_features import HISTORY
from tilewright.alpha.walking.windows import of_day, windows_of


@pytest.mark.parametrize("horizon", [1, 5])
def test_no_training_target_is_known_later_than_the_first_test_day(horizon):
    for window in windows_of(PRICES.days, replace(SMALL, horizon=horizon)):
        assert window.stop - 1 + horizon < window.test  # of the last training row
        assert window.stop - window.start == SMALL.train
        assert window.start >= HISTORY
        assert window.day == PRICES.days[window.test]


def test_they_tile_the_days():
    found = windows_of(PRICES.days, SMALL)
    assert [w.test for w in found[1:]] == [w.end for w in found[:-1]]
    assert found[-1].end == len(PRICES.days)
    assert [w.opens for w in found] == [True, False, False] * 2


@pytest.mark.parametrize("days", range(318, 430, 7))
def test_a_cut_at_the_end_leaves_the_others_as_they_are(days):
    whole, cut = windows_of(PRICES.days, SMALL), windows_of(PRICES.days[:days], SMALL)
    done = [w for w in cut if w.whole]
    assert done == whole[: len(done)]
    assert len(cut) - len(done) <= 2
    last = cut[-1]
    assert last.end == days
    assert last.test == whole[len(cut) - 1].test


def test_of_which_day():
    found = windows_of(PRICES.days, SMALL)
    assert of_day(found, found[2].test) is found[2]
    assert of_day(found, found[2].end - 1) is found[2]


def test_the_first_test_day_can_be_chosen():
    found = windows_of(PRICES.days, replace(SMALL, first="2016-01-10"))
    assert found[0].day == "2016-01-10"
    weekend = [day for day in PRICES.days if day != "2016-01-10"]
    assert windows_of(weekend, replace(SMALL, first="2016-01-10"))[0].day == "2016-01-11"


def test_too_few_days():
    with pytest.raises(AlphaError, match=r"One window needs 318 days .* the table has 317"):
        windows_of(PRICES.days[:317], SMALL)
    assert len(windows_of(PRICES.days[:318], SMALL)) == 1
