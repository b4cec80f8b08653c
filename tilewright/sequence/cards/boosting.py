"""The peers: gradient boosting, tuned, and logistic regression, on aggregates and lags.

In: columns and labels of the purchases of a week's model. Out: probabilities of its judged ones.
Boosting is scikit-learn's by histograms (the algorithm of LightGBM); its settings are the best of a
grid by average precision in a week before the first that is judged, all of whose labels have
arrived by then.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tilewright.frozen import frozen
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


def tuned(X: np.ndarray, fraud: np.ndarray, week: Week) -> Tuned:
    """X (purchases, columns), fraud (purchases,); learned and judged in that week."""
    tried = {}
    for rate, leaves in product(RATES, LEAVES):
        model = Boosting(rate, leaves, TREES[-1]).model()
        model.fit(X[week.learned], fraud[week.learned])
        for trees, said in enumerate(model.staged_predict_proba(X[week.judged]), 1):
            if trees in TREES:
                score = average_precision_score(fraud[week.judged], said[:, 1])
                tried[Boosting(rate, leaves, trees)] = float(score)
    return Tuned(max(tried, key=lambda one: tried[one]), tried)


def boosted(X: np.ndarray, fraud: np.ndarray, week: Week, settings: Boosting) -> tuple:
    """Probabilities (judged,), and the fitted model."""
    model = settings.model().fit(X[week.learned], fraud[week.learned])
    return model.predict_proba(X[week.judged])[:, 1], model


def logistic(X: np.ndarray, fraud: np.ndarray, week: Week) -> np.ndarray:
    """Probabilities (judged,) of a logistic regression on standardised columns."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return model.fit(X[week.learned], fraud[week.learned]).predict_proba(X[week.judged])[:, 1]
