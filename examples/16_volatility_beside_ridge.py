"""Tomorrow's volatility of 20 stocks, walking forward: an LSTM and ridge, refitted every year."""

import warnings

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tilewright.alpha.tables import sp500
from tilewright.sequence import LSTMRegressor
from tilewright.sequence.forward.panel import make_forward_panel

TRAIN, TEST, BLOCKS, LEAST = 1500, 250, 3, 0.01

prices = sp500()
panel = make_forward_panel(prices, "density")  # rows know closes up to their day, no later one
scaled = panel.target  # (days, stocks): the next day's return over the EWMA volatility
logs = 0.5 * np.log(np.maximum(scaled**2, LEAST))  # what both learn: the size, in logarithms


def variance(said, learned, days):
    """Of the scaled return: the logs said, with the factor that was right while learning."""
    factor = np.mean(scaled[learned] ** 2) / np.mean(np.exp(2 * said[learned]))
    return factor * np.exp(2 * said[days])


def qlike(ahead, days):
    """Loss of a forecast variance (Patton 2011), a day's mean over stocks."""
    ratio = np.maximum(scaled[days] ** 2, LEAST) / ahead
    return (ratio - np.log(ratio) - 1).mean(axis=1)


gains, against, width = [], [], len(prices.names)
har = panel.har.reshape(-1, panel.har.shape[-1])  # 20 averages of past volatilities and returns
for block in range(BLOCKS, 0, -1):
    begin = len(prices.days) - 1 - block * TEST
    learned = slice(begin - 1 - TRAIN, begin - 1)  # the day before has no outcome yet
    days = slice(begin, begin + TEST)
    ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 5, 13)))
    ridge.fit(har[learned.start * width : learned.stop * width], logs[learned].ravel())
    said = {"ridge": ridge.predict(har).reshape(logs.shape), "LSTM": np.full_like(logs, np.nan)}
    net = LSTMRegressor(hidden=16, epochs=20, patience=5, seeds=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net.fit(panel.rows(learned.start, learned.stop, logs))
    answers = net.predict(panel.rows(learned.start, days.stop))
    said["LSTM"][learned.start : days.stop] = answers.reshape(-1, width)
    loss = {who: qlike(variance(own, learned, days), days) for who, own in said.items()}
    loss["EWMA"] = qlike(np.ones_like(scaled[days]), days)
    gains.append(loss["ridge"] - loss["LSTM"])
    against.append(loss["EWMA"] - loss["ridge"])
    print(f"from {prices.days[begin]}:", *(f"{w} {own.mean():.4f}" for w, own in loss.items()))
for words, found in (("LSTM over ridge", gains), ("ridge over the EWMA", against)):
    days = np.concatenate(found)
    error = days.std() / np.sqrt(len(days))
    print(f"QLIKE, {words}: better by {days.mean():+.4f}, standard error {error:.4f}")
