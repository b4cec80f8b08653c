"""The peers: gradient boosting, tuned, and logistic regression, on aggregates and lags.

In: columns and labels of the purchases of a week's model. Out: probabilities of its judged ones.
Boosting is scikit-learn's by histograms (the algorithm of LightGBM); its settings are the best of a
grid by average precision in a week before the first that is judged, all of whose labels have
arrived by then. Each model has one thread, and there is one a core (`side_by_side`): several in one
model wait for each other at every leaf of a tree, and on a busy host longer than they work. Their
number would decide how sums are parted, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from tilewright.frozen import frozen
from tilewright.machine.cpu import cpu_limit
from tilewright.sequence.cards.split import Week

RATES, LEAVES = (0.1, 0.3), (8, 31)
TREES = (25, 50, 100, 200)
L2 = 5.0


@frozen
class Boosting:
    """Settings that are tuned."""

    learning_rate: float
    max_leaf_nodes: int
    trees: int

    def model(self) -> Any:
        """Unfitted."""
        rules: dict[str, Any] = dict(early_stopping=False, l2_regularization=L2, random_state=0)
        return HistGradientBoostingClassifier(
            learning_rate=self.learning_rate,
            max_leaf_nodes=self.max_leaf_nodes,
            max_iter=self.trees,
            **rules,
        )


@frozen
class Tuned:
    """The best settings, and the average precision that each of the grid had."""

    best: Boosting
    tried: dict[Boosting, float]


def side_by_side(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each gives, in their order; each has a thread of its own, and OpenMP has no others."""
    alone = partial(threadpool_limits, 1, "openmp")  # counts for the thread that says so
    with ThreadPoolExecutor(cpu_limit(), initializer=alone) as threads:
        return [one.result() for one in [threads.submit(call) for call in calls]]


def tuned(X: np.ndarray, fraud: np.ndarray, week: Week) -> Tuned:
    """X (purchases, columns), fraud (purchases,); learned and judged in that week."""
    grid = product(RATES, LEAVES)
    found = side_by_side([partial(_staged, X, fraud, week, *one) for one in grid])
    tried = {setting: score for each in found for setting, score in each.items()}
    return Tuned(max(tried, key=lambda one: tried[one]), tried)


def _staged(
    X: np.ndarray, fraud: np.ndarray, week: Week, rate: float, leaves: int
) -> dict[Boosting, float]:
    """Average precision after each number of trees: a fit gives all of them."""
    model = Boosting(rate, leaves, TREES[-1]).model()
    model.fit(X[week.learned], fraud[week.learned])
    stages = enumerate(model.staged_predict_proba(X[week.judged]), 1)
    return {
        Boosting(rate, leaves, trees): float(
            average_precision_score(fraud[week.judged], said[:, 1])
        )
        for trees, said in stages
        if trees in TREES
    }


def boosted(X: np.ndarray, fraud: np.ndarray, week: Week, settings: Boosting) -> tuple:
    """Probabilities (judged,), and the fitted model."""
    model = settings.model().fit(X[week.learned], fraud[week.learned])
    return model.predict_proba(X[week.judged])[:, 1], model


def logistic(X: np.ndarray, fraud: np.ndarray, week: Week) -> np.ndarray:
    """Probabilities (judged,) of a logistic regression on standardised columns."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return model.fit(X[week.learned], fraud[week.learned]).predict_proba(X[week.judged])[:, 1]
