"""The talk's workload runs at any size and says what it extrapolates to."""

from tilewright.alpha import talk


def test_small():
    speed = talk.measure(rows=100, seconds=0.1, peer=False)
    assert speed.transitions >= 1
    assert 0 <= speed.acceptance <= 1
    assert speed.whole == 200 * 2 * 500 * 1000 / speed.rate
