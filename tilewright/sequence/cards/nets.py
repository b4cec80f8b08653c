"""Nets that read a card's purchases one after the other.

In: columns of all purchases, a week. Out: probabilities of its judged purchases, and the fitted
`LSTMClassifier`. A net learns from the labels of the week's learned purchases; those before and
after them are read as history, and it reads no further back than `HISTORY` purchases of a card
before the first that it is asked about. (Kept state is the same thing, live: see `live.py`.)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tilewright.doubts import expected
from tilewright.frozen import frozen
from tilewright.sequence.cards.purchases import Purchases
from tilewright.sequence.cards.split import Week
from tilewright.sequence.classifier import LSTMClassifier
from tilewright.sequence.fitting import unseen
from tilewright.sequence.panel import Panel
from tilewright.sequence.together import fit_together

HISTORY = 64
"""Purchases of a card that are read before a week's first."""
WARM_UP = 24
"""Purchases that are read without loss before those that are learned from."""
TRIED = 2
"""Nets that inputs are chosen by."""


@frozen
class Net:
    """Settings of `LSTMClassifier`.

    Frauds are few: batches of 8 pieces find what sets them apart in a third of the epochs that
    batches of 64 take. More units learn frauds by heart; more seeds do not, and find more.
    """

    hidden: int = 16
    seeds: int = 5
    epochs: int = 60
    batch_size: int = 8
    learning_rate: float = 5e-3
    average: float = 0.9995
    patience: int = 10
    density: float = 1.0
    prune_epochs: int = 20

    def model(self, steps_back: int, seed: int) -> LSTMClassifier:
        """Unfitted."""
        return LSTMClassifier(
            hidden=self.hidden,
            seeds=self.seeds,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            average=self.average,
            patience=self.patience,
            density=self.density,
            prune_epochs=self.prune_epochs,
            steps_back=steps_back,
            warm_up=WARM_UP,
            refit="steps",
            random_state=seed,
        )


def read(
    given: Purchases,
    X: np.ndarray,
    names: Sequence[str],
    week: Week,
    settings: Net,
    seed: int,
    epochs: int | None = None,
) -> tuple[np.ndarray, LSTMClassifier]:
    """X (purchases, inputs), the columns `names`: probabilities (judged,), and the fitted net.

    It learns for so many epochs; by default it is stopped by the last fifth of the labels, then
    trained again on all. Raises `ArgumentError` as `LSTMClassifier` does.
    """
    return read_weeks(given, X, names, [week], settings, seed, epochs)[0]


def read_weeks(
    given: Purchases,
    X: np.ndarray,
    names: Sequence[str],
    weeks: Sequence[Week],
    settings: Net,
    seed: int,
    epochs: int | None = None,
) -> list[tuple[np.ndarray, LSTMClassifier]]:
    """The same of several weeks, whose nets are trained side by side, with equal bits."""
    models = [settings.model(_steps(given, week), seed) for week in weeks]
    if epochs is not None:
        for model in models:
            model.set_params(epochs=epochs, validation=0.0, refit=None)
    together: dict[int, list[int]] = defaultdict(list)
    for number, model in enumerate(models):
        together[model.steps_back].append(number)
    with expected(), unseen():
        for numbers in together.values():
            learned = [_learned(given, X, names, weeks[i]) for i in numbers]
            if len(numbers) == 1:
                models[numbers[0]].fit(*learned)
            else:
                fit_together([models[i] for i in numbers], learned)
    return [
        (_said(model, given, X, names, week), model)
        for model, week in zip(models, weeks, strict=True)
    ]


def _said(
    model: LSTMClassifier, given: Purchases, X: np.ndarray, names: Sequence[str], week: Week
) -> np.ndarray:
    """Of the judged purchases of a week."""
    last = given.time[week.judged[-1]]
    rows = np.flatnonzero(_since(given, week.at, HISTORY) & (given.time <= last))
    said = np.zeros(len(given))
    with expected():
        said[rows] = model.predict_proba(_panel(given, X, names, rows))[:, 1]
    return said[week.judged]


def tried(
    given: Purchases, X: np.ndarray, names: Sequence[str], week: Week, settings: Net, seed: int
) -> tuple[np.ndarray, int]:
    """Learned from the earlier of a week's labels: each net's mean loss on the later, (nets,), and
    the epochs in which all of them make as many steps as were best."""
    model = replace(settings, seeds=min(TRIED, settings.seeds)).model(_steps(given, week), seed)
    model.set_params(refit=None)
    with expected(), unseen():
        model.fit(_learned(given, X, names, week))
    losses = model.scores_[:, :, 1]
    best = np.median(np.nanargmin(losses, axis=1) + 1)
    return np.nanmin(losses, axis=1), max(1, round(best * (1 - model.validation)))


def blend(*said: np.ndarray) -> np.ndarray:
    """The mean of their log-odds, as probabilities; each (judged,)."""
    floor = 1e-9
    odds = [np.log(np.clip(p, floor, 1 - floor) / np.clip(1 - p, floor, 1)) for p in said]
    return 1 / (1 + np.exp(-np.mean(odds, axis=0)))


def _learned(given: Purchases, X: np.ndarray, names: Sequence[str], week: Week) -> Panel:
    """A week's labels, and what is read as their history."""
    first = float(given.time[week.learned[0]])
    past = _since(given, first, WARM_UP) & (given.time <= given.time[week.learned[-1]])
    labels = np.full(len(given), np.nan)
    labels[week.learned] = given.fraud[week.learned]
    return _panel(given, X, names, np.flatnonzero(past), labels)


def _steps(given: Purchases, week: Week) -> int:
    """Purchases that are learned from at once: about as many as a busy card has, at most 96."""
    counts = np.bincount(given.card[week.learned])
    busy = int(np.clip(-(-np.quantile(counts[counts > 0], 0.95) // 8) * 8, 16, 96))
    return min(busy, int(counts.max()))


def _since(given: Purchases, time: float, before: int) -> np.ndarray:
    """(purchases,) bool: from that time on, and so many of each card's before it."""
    order = np.argsort(given.card, kind="stable")
    begin = np.searchsorted(given.card[order], given.card)
    place = np.empty(len(given), np.int64)
    place[order] = np.arange(len(given))
    place -= begin
    earlier = np.bincount(given.card[given.time < time], minlength=int(given.card.max()) + 1)
    return place >= earlier[given.card] - before


def _panel(
    given: Purchases,
    X: np.ndarray,
    names: Sequence[str],
    rows: np.ndarray,
    labels: np.ndarray | None = None,
) -> Panel:
    """Rows of a card are in order of time: numbers of rows are times enough."""
    import pandas as pd

    frame = pd.DataFrame(X[rows], columns=list(names))
    frame["row"], frame["card"] = rows, given.card[rows]
    if labels is None:
        return Panel(frame, names, time="row", group="card")
    frame["fraud"] = labels[rows]
    return Panel(frame, names, "fraud", time="row", group="card")
