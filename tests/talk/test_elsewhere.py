"""Workloads on machines that are not here: every figure is modelled, and says how far it may be."""

import json

import jax
import numpy as np

from tests.talk.records import talk
from tilewright.talk import elsewhere, groups
from tilewright.talk.page import page
from tilewright.talk.record import Outcome, as_text, outcome_of
from tilewright.talk.verdicts import sentences


def points(rows, unit, work=0.0):
    spec = jax.ShapeDtypeStruct((rows, 512), np.float32)
    return tuple(elsewhere._points("sums", work, unit, lambda x: x.sum(1), (spec,)))


def test_figures_are_times_or_rates_of_machines_that_have_room():
    times, rates = points(2048, "ms"), points(2048, "images/s", 2048)
    assert [p.who for p in times] == [p.who for p in rates]
    assert len(times) == len(elsewhere.MACHINES)
    for time, rate in zip(times, rates, strict=True):
        assert np.isclose(time.figure.value / 1e3 * rate.figure.value, 2048)
    few = {p.who for p in points(200_000, "ms")}
    assert "IPU POD64" in few
    assert "IPU GC200" in few
    assert "IPU C2" not in few


def test_the_page_says_that_nothing_ran_and_forms_no_ratio():
    outcome = Outcome("modelled", points(64, "ms"))
    assert {p.figure.kind for p in outcome.points} == {"modelled"}
    assert sentences(outcome.points) == []
    assert outcome_of(json.loads(as_text(outcome))).points == outcome.points
    text = page([talk(one=outcome)])
    assert "never run there" in text
    assert "of products" in text or "others&#x27; products" in text


def test_the_layer_of_the_group_chart_is_there_in_every_size():
    found = elsewhere.layers().points
    assert {p.case for p in found} == {f"3×3, {layer.name}" for layer in groups.LAYERS}
    on_one = {p.case: p.figure.value for p in found if p.who == "IPU GC200"}
    assert on_one["3×3, groups of 16"] < 0.2 * on_one["3×3, regular"]
