"""Figures, sentences and the page, of a comparison whose scores are made up and so are known."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from tests.sequence.cards.worlds import small, small_order
from tilewright.errors import ArgumentError
from tilewright.sequence.cards import job
from tilewright.sequence.cards.boosting import Boosting, Tuned
from tilewright.sequence.cards.comparison import (
    BLEND,
    BOOSTING,
    LAGS,
    LOGISTIC,
    MODELS,
    NET,
    NET_AND_15,
    Comparison,
)
from tilewright.sequence.cards.inputs import Chosen
from tilewright.sequence.cards.live import Delays
from tilewright.sequence.cards.nets import Net
from tilewright.sequence.cards.page import page
from tilewright.sequence.cards.settings import recipe
from tilewright.sequence.cards.split import weeks
from tilewright.sequence.cards.tally import ALL, tally
from tilewright.sequence.cards.words import best_net, findings, headline, verdict

KNOWS = {LOGISTIC: 0.5, BOOSTING: 2.4, LAGS: 3.2, NET: 1.6, NET_AND_15: 5.0, BLEND: 4.2}
"""How many deviations frauds lie above honest purchases in each model's score."""


def made_up(given, name, knows=KNOWS, first=45, count=3):
    settings = recipe(name, cards=300, days=80, first=first, weeks=count, train=30, alerts=100)
    judged = weeks(given, first, count, train=30)
    said = {}
    for number, model in enumerate(MODELS):
        random = np.random.default_rng(number)
        odds = [
            random.normal(size=len(w.judged)) + knows[model] * given.fraud[w.judged] for w in judged
        ]
        said[model] = [1 / (1 + np.exp(-o)) for o in odds]
    tuned = {m: Tuned(Boosting(0.1, 8, 50), {Boosting(0.1, 8, 50): 0.5}) for m in (BOOSTING, LAGS)}
    chosen = {m: Chosen("no hours", 10, {"all": 0.2, "no hours": 0.1}) for m in (NET, NET_AND_15)}
    return Comparison(settings, given, judged, said, tuned, chosen, {})


@pytest.fixture(scope="module")
def found():
    return tally(made_up(small(), "published"))


def test_scores_are_in_the_order_of_what_models_know(found):
    values = {model: scores.all.precision.value for model, scores in found.models.items()}
    order = sorted(values, key=lambda model: values[model])
    assert order == sorted(KNOWS, key=lambda model: KNOWS[model])
    for scores in found.models.values():
        assert np.mean([week.precision.value for week in scores.weeks]) == pytest.approx(
            scores.all.precision.value
        )
        assert 0 <= scores.all.cards.value <= scores.all.ceiling <= 1
        assert scores.all.precision.error > 0
    assert found.best_peer == LAGS
    assert found.lead(LAGS).value == found.lead(LAGS).error == 0


def test_words_are_against_the_best_peer(found):
    assert best_net(found) == NET_AND_15
    assert verdict(found.lead(NET_AND_15)) == "ahead"
    assert verdict(found.lead(LOGISTIC)) == "behind"
    assert headline(found).startswith("An LSTM finds what tuned boosting misses")
    assert len(findings(found)) == 6
    worse = {**KNOWS, NET: 0.0, NET_AND_15: 1.5, BLEND: 3.2}
    other = tally(made_up(small(), "published", worse))
    assert headline(other).startswith("Tuned boosting is ahead of the LSTM")
    same = tally(made_up(small(), "published", {**worse, NET_AND_15: 3.2}))
    assert headline(same).startswith("An LSTM and tuned boosting cannot be told apart")


class Reader(HTMLParser):
    """Tags that are open, and all text."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.tags = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in ("meta", "line", "rect", "circle", "polyline", "polygon"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in ("line", "rect", "circle", "polyline", "polygon"):
            return
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_says_that_data_are_simulated_and_needs_nothing_else(found):
    ordered = tally(made_up(small_order(), "order", count=2))
    text = page([found, ordered], [Delays.of("LSTM, one purchase", np.array([3000.0]), "C")])
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    assert "script" not in reader.tags
    assert "http" not in text
    said = " ".join(reader.text)
    assert said.index("These purchases are simulated") < said.index("What was found")
    for words in ("Terminal compromised", "ceiling", "Practical Handbook", "300 cards of 5,000"):
        assert words in said
    assert "nan" not in said
    assert len(text) < 200_000


def test_all_figures_are_in_the_json(found):
    content = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert set(content["models"]) == set(MODELS)
    assert content["best peer"] == LAGS
    for model in MODELS:
        own = content["models"][model]
        assert list(own["by kind"]) == [ALL, *small().kinds]
        assert [week["day"] for week in own["by week"]] == [45, 52, 59]
        for figures in (*own["by kind"].values(), *own["by week"]):
            for name in ("average precision", "recall", "card precision", "cards found"):
                value, error = figures[name]
                assert 0 <= value <= 1
                assert 0 <= error < 1
            value, error = figures["saved a day"]
            assert value >= 0
            assert error >= 0
            assert figures["card precision"][0] <= figures["ceiling"] <= 1


def test_k_above_the_number_of_cards_is_refused():
    comparison = made_up(small(), "published")
    settings = recipe("published", cards=300, alerts=9_000)
    with pytest.raises(ArgumentError, match="k is 540, but on day 45 only"):
        tally(Comparison(**{**vars(comparison), "settings": settings}))


def test_a_folder_that_cannot_be_written_is_said_first(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArgumentError, match="cannot be written into"):
        job.run([recipe("published")], tmp_path / "file")


def test_settings():
    with pytest.raises(ArgumentError, match="recipe must be published or order, not 'talk'"):
        recipe("talk")
    with pytest.raises(ArgumentError, match="false_alarms must be from 0 to 1"):
        recipe("order", false_alarms=0)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"weeks": 0}, "weeks must be a whole number from 1 on, not 0"),
        ({"first": 1.5}, "first must be a whole number from 0 on"),
        ({"train": -1}, "train must be from 1 to 10000"),
        ({"delay": float("nan")}, "delay must be from 0 to 10000, not nan"),
        ({"alerts": 0}, "alerts must be a whole number from 1 on"),
        ({"net": 3}, "net must be a cards.nets.Net, not 3"),
        ({"net": Net(hidden=0)}, "hidden must be a whole number from 1 on"),
    ]
    for changes, sentence in wrong:
        with pytest.raises(ArgumentError, match=sentence):
            recipe("published", **changes)


def test_days_that_there_are_not_are_said_before_purchases_are_simulated(tmp_path):
    sound, told = recipe("published", cards=60), []
    for changes, sentence in (
        ({"weeks": 9}, "There are no 9 weeks from day 129 on: purchases cover 183 days"),
        ({"first": 21}, "first must be above 21, not 21"),
    ):
        wrong = replace(sound, **changes)
        with pytest.raises(ArgumentError, match=sentence):
            wrong.purchases()
        with pytest.raises(ArgumentError, match=sentence):
            job.run([sound, wrong], tmp_path / "new", told.append)
    assert not told
    assert not (tmp_path / "new").exists()
