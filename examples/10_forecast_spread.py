"""An LSTM learns how widely tomorrow's return will scatter; a moving average is held against it."""

import numpy as np
import pandas as pd
from scipy import stats

from tilewright.alpha.features import target_and_features
from tilewright.alpha.scale_features import HISTORY, NAMES, scale_features
from tilewright.alpha.tables import sp500
from tilewright.sequence import LSTMRegressor, Panel

prices = sp500()
target = target_and_features(prices.values)[0]  # (days, stocks) next return over the EWMA scale
known = scale_features(prices.values, prices.days)  # (days, stocks, 28), from the past only
first, begin, stocks = HISTORY + 3000, len(prices.days) - 1000, len(prices.names)

table = pd.DataFrame(known[first:].reshape(-1, len(NAMES)), columns=list(NAMES))
table["day"] = np.repeat(np.arange(first, len(prices.days)), stocks)
table["stock"] = np.tile(prices.names, len(prices.days) - first)
table["next"] = target[first:].ravel()
late = (table.day >= begin).to_numpy()  # the last 1,000 days are for neither learning nor stopping


def panel(frame):
    return Panel(frame, NAMES, "next", time="day", group="stock")


model = LSTMRegressor(hidden=16, epochs=15, learning_rate=3e-3, seeds=2, random_state=0)
model.fit(panel(table[~late]))
forecast = model.predict_distribution(panel(table))  # each row from its own past

judged = late & table.next.notna().to_numpy()
outcome = table.next.to_numpy()
net = forecast.log_score(outcome)[judged]
noise = stats.t(*stats.t.fit(outcome[~late & np.isfinite(outcome)]))
average = -noise.logpdf(outcome[judged])

day = table.day.to_numpy()[judged] - begin
gain = np.bincount(day, average - net) / np.bincount(day)
low, high = forecast.interval(0.9)
inside = (outcome[judged] > low[judged]) & (outcome[judged] < high[judged])
print(f"{judged.sum():,} stock-days after {model.best_step_} steps of training")
print(
    f"log score over the moving average with Student-t noise: {gain.mean():+.4f} nats a stock-day, "
    f"standard error {gain.std() / np.sqrt(len(gain)):.4f}; 90 % intervals held {inside.mean():.1%}"
)
