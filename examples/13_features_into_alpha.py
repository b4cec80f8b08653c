"""What an LSTM remembers as columns of a Bayesian net, both trained inside each window."""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline

from tilewright.alpha import AlphaRegressor
from tilewright.alpha.tables import sp500
from tilewright.sequence import LSTMFeatures
from tilewright.sequence.forward.panel import INPUTS, make_forward_panel

STEPS, TRAIN, TEST = 22, 250, 63
READ = [INPUTS.index(name) for name in ("scaled_return", "market_scaled_return", "move_5", "fast")]

prices, recent = sp500(), slice(-1000, None)
prices = replace(prices, days=prices.days[recent], values=prices.values[recent])
panel = make_forward_panel(prices, "density")
days = np.arange(400, 1000)  # earlier ones have no month of inputs yet
X = np.stack([panel.inputs[days - lag][..., READ] for lag in range(STEPS)][::-1], axis=2)
y = panel.target[days]  # (days, stocks) the next return over its EWMA volatility

model = make_pipeline(
    LSTMFeatures(hidden=8, epochs=5, batch_size=256, learning_rate=3e-3, random_state=0),
    AlphaRegressor(random_state=1),
)
for test in (len(y) - 2 * TEST - 1, len(y) - TEST - 1):  # two windows, the last ones
    learned = slice(test - 1 - TRAIN, test - 1)  # the target of the day before is not known yet
    fitted: Any = clone(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted.fit(X[learned].reshape(-1, STEPS, len(READ)), y[learned].ravel())
    later = slice(test, test + TEST)
    columns = fitted[:-1].transform(X[later].reshape(-1, STEPS, len(READ)))
    forecast = fitted[-1].predict_distribution(columns)
    score = forecast.log_score(y[later].ravel()).mean()
    print(
        f"from {panel.days[days[test]]}: {columns.shape[1]} hidden states, R-hat at most "
        f"{fitted[-1].r_hat_.max():.2f}, log score {score:.4f} a stock-day"
    )
