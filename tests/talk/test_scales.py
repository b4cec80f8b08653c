"""What the length of a bar stands for."""

import re

from tilewright.talk.drawing import bars
from tilewright.talk.figures import MODELLED, PUBLISHED, Figure, Point, measured
from tilewright.talk.scales import ASIDE, CUT, OWN, scales


def mine(case, value, unit="images/s"):
    return Point(case, "tilewright", measured(case, [1.0] * 3, unit, value))


def theirs(case, value, unit="images/s", kind=PUBLISHED):
    return Point(case, "V100", Figure(value, unit, kind, "a README"))


def widths(points):
    return [float(width) for width in re.findall(r"width:([\d.]+)%", bars(points))]


def test_groups_that_are_near_share_a_scale():
    points = [mine("batch 1", 100), theirs("batch 1", 50.0), mine("batch 8", 20)]
    assert widths(points) == [100, 50, 20]
    assert scales(points).notes == ()


def test_groups_that_are_far_apart_have_a_scale_each_and_it_is_said():
    points = [mine("58,368 rows", 600), mine("58,368 rows", 200), mine("250 rows", 140_000)]
    assert widths(points) == [100, 33.33, 100]
    assert OWN in bars(points)
    modelled = [theirs("small", 1.0, kind=MODELLED), theirs("large", 20.0, kind=MODELLED)]
    assert widths(modelled) == [100, 100]


def test_what_others_measured_alone_does_not_set_the_scale_of_what_was_measured_here():
    points = [mine("batch 1", 100), mine("batch 2", 50), theirs("batch 256", 6000.0)]
    assert widths(points) == [100, 50, 100]
    assert scales(points).notes == (ASIDE,)


def test_nor_does_it_in_the_same_group_where_it_is_far_longer():
    near, far = theirs("B0", 60.0), theirs("B0", 1300.0)
    points = [mine("B0", 20), near, far]
    assert widths(points) == [33.33, 100, 100]
    assert scales(points).notes == (CUT,)
    assert bars(points).count(" cut") == 1
    assert widths([mine("B0", 20), far]) == [100, 100]


def test_each_unit_has_its_own_scale():
    points = [mine("B0", 20), theirs("whole", 7200.0, "s"), theirs("whole", 3600.0, "s")]
    assert widths(points) == [100, 100, 50]
    assert scales(points).notes == ()
