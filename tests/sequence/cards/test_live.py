"""Purchases of many cards, interleaved, from C: each card's answers are those of its own stream."""

import json

import numpy as np
import pandas as pd
import pytest

from tests.sequence.cards.test_models import TINY, judged
from tests.sequence.cards.worlds import small
from tilewright.sequence import LSTMClassifier, Panel
from tilewright.sequence.cards import features, live, nets
from tilewright.sequence.cards.features import RAW
from tilewright.sequence.latency_in_c import compiler

pytestmark = pytest.mark.skipif(compiler() is None, reason="needs a C compiler")


@pytest.fixture(scope="module")
def model():
    given = small()
    return nets.read(given, features.raw(given), RAW, judged(given), TINY, 0)[1]


def test_states_of_cards_are_kept_apart(model):
    random = np.random.default_rng(0)
    xs = random.normal(size=(60, len(RAW))).astype(np.float32)
    card = random.integers(0, 5, 60)
    found = live.in_c(model, xs, card, 5)
    for one in range(5):
        stream = model.to_stream(1, tiles=1)
        mine = np.flatnonzero(card == one)
        wanted = np.concatenate([stream(xs[row][None]) for row in mine])
        np.testing.assert_array_equal(found.answers[mine], wanted)
    assert (found.delays > 0).all()


def test_figures_are_for_programs_too(model):
    X = np.zeros((10, len(RAW)))
    found = live.net(model, X, cards=100, count=200)
    assert 0 < found.median <= found.p99
    assert "100 cards" in found.note
    json.dumps(found.as_json(), allow_nan=False)


@pytest.mark.slow
def test_a_purchase_of_100_000_cards_takes_less_than_10_microseconds():
    """At 64 units, with states that come from memory, as far as others leave the core alone."""
    X = np.random.default_rng(0).normal(size=(2_000, len(RAW)))
    frame = pd.DataFrame(X, columns=list(RAW))
    frame["row"], frame["card"], frame["fraud"] = range(2_000), np.arange(2_000) % 50, X[:, 0] > 1
    panel = Panel(frame, RAW, "fraud", time="row", group="card")
    fitted = LSTMClassifier(hidden=64, epochs=1, steps_back=16, validation=0.0).fit(panel)
    found = live.net(fitted, X)
    assert found.median < 10
    assert live.in_c(fitted, X[:3].astype(np.float32), np.arange(3), 3).state_bytes <= 2 * 8 * 64
