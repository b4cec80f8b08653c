"""A Bayesian neural net as a scikit-learn estimator: a distribution for each stock."""

import numpy as np

from tilewright.alpha import AlphaRegressor
from tilewright.alpha.features import target_and_features
from tilewright.alpha.tables import sp500
from tilewright.alpha.windows import GAP, TRAIN

prices = sp500()
target, features = target_and_features(prices.values)  # (days, stocks), (days, stocks, 22)

today = len(prices.days) - 2  # the newest day whose next day is known, too
train = slice(today - GAP - TRAIN, today - GAP)
model = AlphaRegressor(random_state=1)
model.fit(features[train].reshape(-1, 22), target[train].ravel())

forecast = model.predict_distribution(features[today])
low, middle, high = forecast.quantile(np.array([0.05, 0.5, 0.95]))

print(f"R-hat at most {model.r_hat_.max():.3f}, acceptance {model.acceptance_.mean():.2f}")
print("Next day, in units of each stock's volatility:")
for stock in range(5):
    print(
        f"{prices.names[stock]:5} {low[stock]:+.2f} … {middle[stock]:+.2f} … {high[stock]:+.2f}"
        f"   came {target[today, stock]:+.2f}"
    )
