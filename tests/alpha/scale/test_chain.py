"""One chain: what is counted, cold and warm; and draws that are those of the posterior."""

from dataclasses import replace

import numpy as np
import pytest

from tests.alpha.scale.small import PRICES, SMALL, WINDOWS
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.scale.panel import Rows, make_panel, training_rows
from tilewright.alpha.scale.program import cold_chains, fit_window
from tilewright.alpha.scale.settings import ScaleChain

ROWS = training_rows(make_panel(PRICES, 1), WINDOWS[0])
CHAIN = SMALL.chain


@pytest.fixture(scope="module")
def cold():
    return fit_window(SMALL, ROWS, WINDOWS[0], None, "real")


def test_what_is_counted(cold):
    assert cold.log_density.shape == (2, 6)
    assert cold.cold.all()
    assert (cold.gradients > CHAIN.climb + 26).all()
    assert (cold.gradients <= CHAIN.most_gradients(cold=True)).all()
    warm = fit_window(SMALL, ROWS, WINDOWS[1], cold.state, "real")
    assert warm.cold.tolist() == [True, False]
    assert warm.gradients[1] <= CHAIN.most_gradients(cold=False) < warm.gradients[0]


def test_a_window_is_the_same_whenever_it_is_run_and_a_key_is_its_own(cold):
    again = fit_window(SMALL, ROWS, WINDOWS[0], None, "real")
    np.testing.assert_array_equal(again.log_density, cold.log_density)
    for other in (
        fit_window(SMALL, ROWS, WINDOWS[1], None, "real"),
        fit_window(SMALL, ROWS, WINDOWS[0], None, "planted"),
        fit_window(replace(SMALL, seed=1), ROWS, WINDOWS[0], None, "real"),
    ):
        assert not np.array_equal(other.log_density, cold.log_density)
    assert not np.array_equal(cold.log_density[0], cold.log_density[1])


def test_one_chain_in_four_is_cold():
    four = replace(SMALL, chains=8)
    assert cold_chains(four, False).tolist() == [True, False, False, False] * 2
    assert cold_chains(four, True).all()
    assert cold_chains(replace(four, warm=False), False).all()


def test_rows_without_weight_change_nothing_but_rounding(cold):
    """Whatever stands in them."""
    wild = ROWS.y.copy()
    weight = ROWS.weight.copy()
    weight[:30] = 0
    wild[:30] = 50.0
    zero = np.where(weight > 0, ROWS.y, 0).astype(np.float32)
    one, other = (
        fit_window(
            SMALL, Rows(ROWS.X, y, weight, ROWS.centre, ROWS.spread), WINDOWS[0], None, "real"
        )
        for y in (wild, zero)
    )
    np.testing.assert_allclose(one.log_density[:, 0], other.log_density[:, 0], rtol=1e-3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(warmup=5), "warmup must be 20 or more"),
        (dict(rewarm=0), "rewarm must be 1 or more"),
        (dict(doublings=20), "doublings must be 12 or less"),
        (dict(target_acceptance=1.2), "target_acceptance must be a number"),
    ],
)
def test_chains_that_cannot_be(change, words):
    with pytest.raises(AlphaError, match=words):
        replace(ScaleChain(), **change).check()
