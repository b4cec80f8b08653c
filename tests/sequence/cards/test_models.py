"""Models of a week: tuned without it, and blind to what comes and to what is not known."""

from dataclasses import replace
from functools import cache

import jax
import numpy as np
import pytest

from tests.sequence.cards.worlds import another_future, other_labels, small
from tilewright.errors import ArgumentError
from tilewright.sequence.cards import boosting, comparison, features, inputs, job, nets
from tilewright.sequence.cards.boosting import Boosting
from tilewright.sequence.cards.comparison import (
    BOOSTING,
    LAGS,
    LOGISTIC,
    NET,
    NET_AND_15,
    columns,
    tuning_week,
)
from tilewright.sequence.cards.features import RAW
from tilewright.sequence.cards.nets import Net, blend
from tilewright.sequence.cards.purchases import DAY
from tilewright.sequence.cards.settings import recipe
from tilewright.sequence.cards.split import weeks

SETTINGS = recipe("published", cards=300, days=80, first=47, weeks=1, train=14)
TINY = Net(hidden=4, seeds=1, epochs=2, batch_size=128)
AT = 54 * DAY
"""The end of the week that is judged; what is known there is not yet known at its beginning."""


def judged(given):
    return weeks(given, 47, 1, train=14)[0]


def boosted(given):
    found, _ = boosting.boosted(
        columns(given, 7).of(LAGS), given.fraud, judged(given), Boosting(0.1, 8, 20)
    )
    return found


def logistic(given):
    return boosting.logistic(columns(given, 7).of(BOOSTING), given.fraud, judged(given))


def read(given):
    return nets.read(given, features.raw(given), RAW, judged(given), TINY, 0)[0]


@pytest.mark.parametrize("said", [boosted, logistic, read], ids=lambda f: f.__name__)
def test_no_score_moves_by_what_was_not_known(said):
    """Other purchases after the week; other labels that are not known by its end; and labels not
    known when it begins, that is, all of the week's own and of the delay before it."""
    given = small()
    scores = said(given)
    assert scores.std() > 0
    np.testing.assert_array_equal(scores, said(another_future(given, AT)))
    np.testing.assert_array_equal(scores, said(other_labels(given, AT)))
    if said is read:  # raw purchases: no label reaches a score but by learning
        same = other_labels(given, 47 * DAY)
        rows = np.intersect1d(judged(given).judged, judged(same).judged)
        mine, theirs = (np.isin(judged(g).judged, rows) for g in (given, same))
        np.testing.assert_array_equal(scores[mine], said(same)[theirs])


DELAYS = np.random.default_rng(0).uniform(DAY, 14 * DAY, len(small()))
"""Each label's own, one day to fourteen."""


def compared(given):
    return heard(given)[0]


@cache
def heard(given):
    """All six models of the week from day 47 on, small and quick; and what was told meanwhile."""
    told: list[str] = []
    few = {"RATES": (0.3,), "LEAVES": (8,), "TREES": (5, 10)}
    with pytest.MonkeyPatch.context() as patch:
        for name, values in few.items():
            patch.setattr(boosting, name, values)
        # With other labels most cards are known as compromised, and hardly any is left to alert.
        return comparison.compare(replace(SETTINGS, net=TINY, alerts=50), given, told.append), told


def test_steps_are_told_as_they_were_foretold():
    told = heard(delayed())[1]
    assert list(comparison.steps(SETTINGS)) == told
    assert len(job.steps([SETTINGS, recipe("order")])) == 2 * (len(told) + 1) + 1


def test_more_alerts_than_cards_are_refused_before_anything_is_learned():
    told: list[str] = []
    with pytest.raises(ArgumentError, match="k is 540, but on day 47 only"):
        comparison.compare(replace(SETTINGS, alerts=9_000), small(), told.append)
    assert told == ["purchases"]


@pytest.mark.parametrize("others", [another_future, other_labels], ids=lambda f: f.__name__)
def test_no_score_of_the_six_moves_by_what_came_later(others):
    """From the middle of the week on there are other purchases; or labels that were not known by
    then are others: what every model said of the days before stays, to the bit."""
    middle, given = 50.5 * DAY, delayed()
    mine, other = compared(given), others(given, middle)
    theirs, rows = compared(other), mine.weeks[0].judged
    early, same = (
        own.time[found.weeks[0].judged] < middle for own, found in ((given, mine), (other, theirs))
    )
    np.testing.assert_array_equal(rows[early], theirs.weeks[0].judged[same])
    assert (mine.tuned, mine.chosen) == (theirs.tuned, theirs.chosen)
    for model in comparison.MODELS:
        said, again = mine.said[model][0], theirs.said[model][0]
        assert said[early].std() > 0
        np.testing.assert_array_equal(said[early], again[same], err_msg=model)


def test_nothing_is_learned_from_labels_inside_the_delay():
    """Labels that are not known when the week begins are others: what was fitted is the same."""
    mine, theirs = compared(delayed()), compared(other_labels(delayed(), 47 * DAY))
    assert (mine.tuned, mine.chosen) == (theirs.tuned, theirs.chosen)
    for model, (fitted, X) in mine.last.items():
        again = theirs.last[model][0]
        if model in (NET, NET_AND_15):
            for one, other in zip(*map(jax.tree.leaves, (fitted.nets_, again.nets_)), strict=True):
                np.testing.assert_array_equal(one, other)
        else:
            np.testing.assert_array_equal(fitted.predict_proba(X), again.predict_proba(X))
    # Of what came later a model is told, by the columns of terminals.
    said, again = mine.said[BOOSTING][0], theirs.said[BOOSTING][0]
    assert len(said) != len(again) or (said != again).any()


@cache
def delayed():
    return small().with_delays(DELAYS)


def test_boosting_is_tuned_on_a_week_that_is_known():
    given = small()
    early = tuning_week(given, SETTINGS)
    assert early.day == 33
    assert (given.known[early.judged] <= 47 * DAY).all()
    late = np.where(np.arange(len(given)) % 2, 7 * DAY, 60 * DAY)
    fewer = tuning_week(given.with_delays(late), SETTINGS)
    assert 0 < len(fewer.judged) < len(early.judged)
    X = columns(given, 7).of(BOOSTING)
    found = boosting.tuned(X, given.fraud, early)
    assert len(found.tried) == 16
    assert found.tried[found.best] == max(found.tried.values())
    # What is tuned does not see the weeks that are judged.
    other = other_labels(given, 47 * DAY)
    np.testing.assert_array_equal(early.learned, tuning_week(other, SETTINGS).learned)


def test_a_blend_is_the_mean_of_log_odds():
    a, b = np.array([0.5, 0.9, 0.0]), np.array([0.5, 0.1, 1.0])
    np.testing.assert_allclose(blend(a, b), [0.5, 0.5, 0.5], atol=1e-6)
    np.testing.assert_allclose(blend(a, a)[:2], a[:2])


def test_weeks_that_are_trained_side_by_side_have_the_bits_that_each_has_alone():
    given = small()
    both = weeks(given, 40, 2, train=14)
    X = features.raw(given)
    net = replace(TINY, seeds=2)
    assert len({nets._steps(given, week) for week in both}) == 1
    found = nets.read_weeks(given, X, RAW, both, net, 0, epochs=2)
    for week, (said, model) in zip(both, found, strict=True):
        alone, own = nets.read(given, X, RAW, week, net, 0, epochs=2)
        np.testing.assert_array_equal(said, alone)
        for one, other in zip(*map(jax.tree.leaves, (model.nets_, own.nets_)), strict=True):
            np.testing.assert_array_equal(one, other)


def test_weeks_whose_cards_buy_more_are_trained_by_themselves(monkeypatch):
    given = small()
    both = weeks(given, 40, 2, train=14)
    monkeypatch.setattr(nets, "_steps", lambda given, week: 16 if week is both[0] else 24)
    found = nets.read_weeks(given, features.raw(given), RAW, both, TINY, 0, epochs=1)
    assert [model.steps_back for _, model in found] == [16, 24]
    assert [len(said) for said, _ in found] == [len(week.judged) for week in both]


def test_models_side_by_side_have_one_thread_each_and_stand_in_order():
    found = boosting.side_by_side([lambda n=n: (n, threads()) for n in range(9)])
    assert found == [(n, 1) for n in range(9)]


def threads():
    """That OpenMP would use here, in scikit-learn."""
    from sklearn.utils._openmp_helpers import _openmp_effective_n_threads

    return _openmp_effective_n_threads()


def test_nets_read_a_cards_last_purchases_only():
    given = small()
    since = nets._since(given, 47 * DAY, 3)
    for card in range(0, 300, 50):
        own = np.flatnonzero(given.card == card)
        first = np.searchsorted(given.time[own], 47 * DAY)
        np.testing.assert_array_equal(
            np.flatnonzero(since[own]), np.arange(max(first - 3, 0), len(own))
        )


def test_columns_have_no_name_twice():
    names = (*features.RAW, *features.AGGREGATES)
    assert len(set(names)) == len(names)
    given = small()
    table = columns(given, 7)
    widths = [table.of(model).shape[1] for model in (LOGISTIC, BOOSTING, LAGS)]
    assert widths == [15, 15, 31]
    for model, width in ((NET, 4), (NET_AND_15, 19)):
        X, told = table.read(model, inputs.SETS["gaps and shares"])
        assert X.shape == (len(given), len(told)) == (len(given), width)
        np.testing.assert_array_equal(X[:, 0], table.raw[:, features.RAW.index(told[0])])


def test_the_fewest_inputs_are_kept_that_later_labels_do_not_speak_against(monkeypatch):
    given = small()
    losses = {7: [0.30, 0.28], 5: [0.10, 0.14], 4: [0.13, 0.11]}
    epochs = {7: 5, 5: 9, 4: 7}
    monkeypatch.setattr(
        nets, "tried", lambda _, X, *__: (np.array(losses[X.shape[1]]), epochs[X.shape[1]])
    )

    def chosen():
        return inputs.chosen(given, features.raw(given), None, judged(given), TINY, 0)

    assert (chosen().best, chosen().epochs) == ("gaps and shares", 7)
    assert chosen().tried == pytest.approx({"all": 0.29, "no hours": 0.12, "gaps and shares": 0.12})
    losses[4] = [0.17, 0.15]  # errors of means are 0.011
    assert (chosen().best, chosen().epochs) == ("no hours", 9)
    assert not set(chosen().names) & set(inputs.HOURS)
    losses[4] = [0.139, 0.119]
    assert chosen().best == "gaps and shares"
    losses[5] = losses[4] = [0.5, 0.4]
    assert chosen().best == "all"


def test_epochs_are_as_many_steps_as_were_best():
    """With all labels an epoch is longer, by a quarter, than with the earlier four fifths."""
    given = small()
    long = replace(TINY, epochs=10, batch_size=16, patience=10)
    loss, epochs = nets.tried(given, features.raw(given), RAW, judged(given), long, 0)
    _, model = nets.read(given, features.raw(given), RAW, judged(given), long, 0)
    assert epochs == max(1, round(0.8 * (np.nanargmin(model.scores_[0, :, 1]) + 1)))
    np.testing.assert_allclose(loss, np.nanmin(model.scores_[0, :, 1]), rtol=1e-6)
    assert loss.shape == (1,)
