"""What a job will take, said before it begins."""

from dataclasses import replace

import pytest

from tests.alpha.scale.small import PRICES, SMALL, WINDOWS, Listener
from tilewright.alpha.cost import in_words
from tilewright.alpha.scale.estimate import RIVALS, SCORING, Estimate, usual_gradients
from tilewright.alpha.scale.settings import ScaleChain
from tilewright.alpha.scale.walk import walk


class Asking(Listener):
    """Asks at once."""

    def outlook(self, ask) -> None:
        self.asked = ask()


def test_it_counts_what_is_left(tmp_path):
    first, again, done = Asking(stop_after=4), Asking(), Asking()
    with pytest.raises(KeyboardInterrupt):
        walk(PRICES, SMALL, tmp_path / "job", first)
    found = first.asked
    assert isinstance(found, Estimate)
    assert found.windows == len(WINDOWS) == 6
    # two sequences of three windows: two cold chains in the first of each, one in the others
    gradients = (usual_gradients(SMALL.chain, cold) for cold in (True, False))
    assert found.gradients == sum(n * g for n, g in zip((8, 4), gradients, strict=True))
    assert 1e-8 < found.gradient < 0.1
    assert "6 windows will take about" in found.sentence()
    walk(PRICES, SMALL, tmp_path / "job", again)
    assert isinstance(again.asked, Estimate)
    assert again.asked.windows == 2
    assert again.asked.gradients < found.gradients / 2
    walk(PRICES, SMALL, tmp_path / "job", done)
    assert done.asked is None


def test_no_chain_is_expected_to_take_more_than_it_can():
    for chain in (ScaleChain(), ScaleChain(doublings=2, thin=3), ScaleChain(doublings=8)):
        for cold in (True, False):
            assert usual_gradients(chain, cold) <= chain.most_gradients(cold)
    assert usual_gradients(ScaleChain(), True) > 4 * usual_gradients(ScaleChain(), False)


def test_seconds_are_shared_by_hands_but_not_those_of_scores():
    one = Estimate(10, 1e6, 1e-3, SCORING + RIVALS, 1)
    assert one.seconds == 1000 + 10 * (SCORING + RIVALS)
    assert replace(one, hands=4).seconds == 250 + 10 * (SCORING + RIVALS)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "10 seconds"), (84, "80 seconds"), (430, "7 minutes"), (9000, "2.5 hours")],
)
def test_words(seconds, words):
    assert in_words(seconds) == words


def test_small_jobs_are_told_in_numbers_that_are_not_zero():
    said = Estimate(2, 1234, 2.34e-6, SCORING, 1).sentence()
    assert "some 1,234 gradients of 0.00234 ms" in said
    assert (
        "some 4.6 million gradients of 1.5 ms" in Estimate(9, 4.6e6, 1.5e-3, SCORING, 2).sentence()
    )
