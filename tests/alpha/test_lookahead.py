"""What looks ahead is found, what does not is left in peace."""

import numpy as np
import pandas as pd
import pytest

from tests.alpha.market import prices
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.features import target_and_features
from tilewright.alpha.lookahead import check_lookahead
from tilewright.alpha.scale_features import scale_features

TABLE = prices(400)


def test_our_own_features_do_not():
    check_lookahead(lambda p: target_and_features(p.values)[1], TABLE)
    check_lookahead(lambda p: scale_features(p.values, p.days), TABLE)


LEAKS = {
    "the target": lambda p: target_and_features(p.values)[0],
    "a mean of all days": lambda p: p.values - p.values.mean(axis=0),
    "filled backwards": lambda p: pd.DataFrame(p.values).shift(-1).bfill().to_numpy(),
    "how many days there are": lambda p: np.full(len(p.days), len(p.days)),
}


@pytest.mark.parametrize("name", LEAKS)
def test_leaks_are_found(name):
    with pytest.raises(AlphaError, match="looks ahead"):
        check_lookahead(LEAKS[name], TABLE)


def test_features_by_name_are_looked_at_together():
    """As `walk` takes them."""
    check_lookahead(lambda p: {"level": p.values, "again": 2 * p.values}, TABLE)
    with pytest.raises(AlphaError, match="looks ahead"):
        check_lookahead(
            lambda p: {"level": p.values, "mean": LEAKS["a mean of all days"](p)}, TABLE
        )


def test_a_function_must_give_a_row_a_day():
    with pytest.raises(AlphaError, match="a row for each of 400 days"):
        check_lookahead(lambda p: p.values[1:], TABLE)
