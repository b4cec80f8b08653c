"""Hidden states as columns: learned from a target or from the next row, from the past only."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from tilewright.sequence import LSTMFeatures

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 5, 2))
Y = X[:, 0, 0] * X[:, -1, 1]
SHORT = LSTMFeatures(hidden=8, batch_size=32, epochs=60, learning_rate=0.03)


@pytest.mark.slow
@parametrize_with_checks([LSTMFeatures(hidden=4, batch_size=32, epochs=10)])
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def test_a_target_is_learned():
    model = make_pipeline(clone(SHORT).set_params(seeds=2), LinearRegression())
    model.fit(X, Y)
    assert model[:-1].transform(X).shape == (300, 16)
    names = model[:-1].get_feature_names_out()
    assert names is not None
    assert names[-1] == "lstmfeatures15"
    assert model.score(X, Y) > 0.5  # linear in the inputs: 0


def test_without_a_target_the_next_row_is():
    walk = np.cumsum(RNG.normal(size=(200, 6, 1)), axis=1)
    fitted = clone(SHORT).fit(walk)
    assert fitted.scores_[0, -1, 1] < fitted.scores_[0, 0, 1] - 0.2
    assert fitted.transform(walk).shape == (200, 8)
