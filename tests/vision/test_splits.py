"""What is held out: like shares of classes, whole groups, the newest."""

import numpy as np
import pytest

from tilewright.errors import ArgumentError
from tilewright.vision.splits import hold_out

CLASSES = np.repeat([0, 1, 2], [60, 30, 10])


def test_at_random_every_class_gives_its_share():
    rest, held = hold_out(CLASSES, 0.2, 0)
    assert np.bincount(CLASSES[held]).tolist() == [12, 6, 2]
    assert sorted([*rest, *held]) == list(range(100))
    assert (hold_out(CLASSES, 0.2, 0)[1] == held).all()
    assert (hold_out(CLASSES, 0.2, 1)[1] != held).any()


def test_groups_are_never_on_both_sides():
    groups = np.random.default_rng(0).integers(0, 12, 100)
    rest, held = hold_out(CLASSES, 0.3, 0, groups=groups)
    assert not set(groups[rest]) & set(groups[held])
    assert 15 <= len(held) <= 45


def test_by_time_the_newest_are_held_out():
    times = np.random.default_rng(0).integers(0, 30, 100)
    rest, held = hold_out(CLASSES, 0.25, 0, times=times)
    assert times[rest].max() < times[held].min()
    assert 10 <= len(held) <= 25
    days = np.array(["2020-01-01", "2021-05-05"], "datetime64[D]")[(CLASSES > 0).astype(int)]
    assert (CLASSES[hold_out(CLASSES, 0.4, 0, times=days)[1]] > 0).all()


@pytest.mark.parametrize("given, words", [
    (dict(share=1.0), "must be between 0 and 1"),
    (dict(groups=CLASSES, times=CLASSES), "one of them, not both"),
    (dict(groups=CLASSES[:5]), "groups must hold one value for each of 100 images"),
    (dict(groups=["a", None] * 50), "groups has no value for image 1"),
    (dict(groups=[*range(99), np.nan]), "groups has no value for image 99"),
    (dict(groups=np.array(["a", 1] * 50, object)), "groups must hold values of one kind, not int"),
    (dict(times=np.array(["2024"] * 99 + ["NaT"], "M8[D]")), "times has no value for image 99"),
    (dict(times=[str(i) for i in range(100)]), "times must be numbers or dates like .* not '0'"),
    (dict(groups=np.zeros(100)), "too few groups to hold out 20%"),
    (dict(times=np.zeros(100)), "too few times to hold out 20%"),
])  # fmt: skip
def test_what_cannot_be(given, words):
    with pytest.raises(ArgumentError, match=words):
        hold_out(CLASSES, **{"share": 0.2, "seed": 0, **given})
