"""The net of the scale over two decades of real returns: what it must not lose, and its chains.

Fixed beforehand: the 20 stocks, settings as they come (windows of 1,000 days, refitted every 63,
four chains), all test days from 2000-11-28 on. A walk of some twenty minutes on two cores.
"""

import numpy as np
import pytest

from tilewright.alpha.scale.scored import NET
from tilewright.alpha.scale.settings import ScaleSettings
from tilewright.alpha.scale.walk import walk
from tilewright.alpha.scale_baselines import LINEAR
from tilewright.alpha.tables import sp500
from tilewright.alpha.walking.scored import LOG
from tilewright.alpha.walking.tally import tally

pytestmark = pytest.mark.slow
DAYS, AGREED = 5544, 1.05


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    settings = ScaleSettings(first="2000-11-28", controls=0)
    return walk(sp500(), settings, tmp_path_factory.mktemp("protocol") / "job")


def test_the_net_is_not_worse_than_its_linear_part(walked):
    """By more than a standard error by date; log scores are the smaller the better."""
    found = tally(walked.scored, walked.prices.days, len(walked.prices.names))
    lead = found.over(LINEAR, LOG)
    assert found.models[0] == NET
    assert len(found.days) == DAYS
    assert lead.mean <= lead.by_date


def test_chains_agree_in_nearly_all_windows(walked):
    """R-hat of mean and log-scale, in 95 of 100 windows or more; none failed."""
    windows = list(walked.scored())
    assert not any(one.failure for one in windows)
    worst = np.array([one.r_hat.max() for one in windows])
    assert np.mean(worst <= AGREED) >= 0.95
