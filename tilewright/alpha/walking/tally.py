"""All windows of a series, one at a time, into what a report needs: sums, never rows.

In: `Forecasts` in any order (they are read twice). Out: `Tally`. The day is the unit, as stocks of
one day move together: rows are averaged over its stocks first. A *lead* is the first model's score
(the net's) less another's on the rows that both have, so negative is better for the net.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from tilewright.alpha.scores import critical, newey_west
from tilewright.alpha.walking.scored import LEVELS, LOG, QUANTILE, Forecasts
from tilewright.frozen import frozen

COVER_50, COVER_90 = "cover 50 %", "cover 90 %"
FIFTHS, REGIMES, BINS = 5, ("calm", "usual", "wild"), 20
BEATS, TIES, LOSES = "beats", "ties with", "loses to"
LEAST_Z = 2.5
"""Standard errors by date beyond which a difference counts: errors of related days are rough. On
few days it takes more (`scores.critical`)."""
MANY = 100_000
"""Days that are not few."""
LAGS = 21
"""Days over which score differences are taken to be related."""
TAILS = tuple(float(LEVELS[i]) for i in (0, 1, 5, 6))
"""Levels whose exceedances are counted: 1 % and 5 % on both sides."""


@frozen
class Lead:
    """A mean difference, its standard error by date, by year and by stock, and z by date."""

    mean: float
    by_date: float
    by_year: float
    by_stock: float
    days: int = MANY

    @property
    def z(self) -> float:
        return self.mean / self.by_date if self.by_date else float("nan")

    @property
    def least(self) -> float:
        """The smallest difference that would count, had it come about with this error; NaN of no
        days."""
        if not self.days:
            return float("nan")
        return max(LEAST_Z, critical(self.days, LAGS)) * self.by_date

    @property
    def side(self) -> str:
        """What the first model does to the other."""
        if not np.isfinite(self.z) or abs(self.mean) < self.least:
            return TIES
        return BEATS if self.mean < 0 else LOSES


@frozen
class Tally:
    """`value` and `lead` are (models, days) by score; shares are (models, groups)."""

    models: tuple[str, ...]
    main: str  # the score of `by_stock`, and of leads unless another is named
    days: list[str]
    value: dict[str, np.ndarray]
    lead: dict[str, np.ndarray]
    by_stock: np.ndarray  # (models, stocks) lead in the main score, NaN: none
    by_fifth: np.ndarray  # (models, FIFTHS) of outcomes in the 90 % interval
    by_regime: np.ndarray  # (models, REGIMES)
    cover: dict[str, np.ndarray]  # (models,)
    beyond: np.ndarray  # (models, TAILS): share of outcomes beyond each quantile
    pit: np.ndarray  # (models, BINS) density
    rows: int

    def mean(self, score: str, model: str) -> float:
        """NaN where a model says nothing."""
        values = self.value[score][self.models.index(model)]
        return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")

    def has(self, model: str, score: str = QUANTILE) -> bool:
        if model not in self.models:
            return False
        return bool(np.isfinite(self.value[score][self.models.index(model)]).any())

    def over(self, model: str, score: str = "") -> Lead:
        """The net's lead over a model, in the main score unless another is named."""
        number = self.models.index(model)
        series = self.lead[score or self.main][number]
        known = np.isfinite(series)
        values = series[known]
        if not len(values):
            nothing = float("nan")
            return Lead(nothing, nothing, nothing, nothing, 0)
        years = np.array([day[:4] for day in self.days])[known]
        yearly = [values[years == year].mean() for year in np.unique(years)]
        stocks = self.by_stock[number][np.isfinite(self.by_stock[number])]
        errors = newey_west(values, LAGS), _error(yearly), _error(stocks)
        return Lead(float(values.mean()), *errors, len(values))


def _error(values: Sequence[float] | np.ndarray) -> float:
    """Standard error of the mean of independent values."""
    return float(np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else float("nan")


def tally(
    windows: Callable[[], Iterable[Forecasts]], days: Sequence[str], stocks: int, main: str = LOG
) -> Tally:
    """Of the windows that `windows()` gives, each time from the first on."""
    edges, calm, wild = _edges(windows)
    sums = _Sums(next(iter(windows())), stocks, main)
    for one in windows():
        sums.add(one, edges, calm, wild)
    return sums.tally(days)


def _edges(windows: Callable[[], Iterable[Forecasts]]) -> tuple[np.ndarray, float, float]:
    """Fifths of the forecast scale over all rows; thirds of the days' mean volatility."""
    scale, volatility = [], []
    for one in windows():
        scale.append(one.scale)
        volatility += [
            float(one.unit[one.places[:, 0] == day].mean()) for day in np.unique(one.places[:, 0])
        ]
    inner = np.quantile(np.concatenate(scale), np.arange(1, FIFTHS) / FIFTHS)
    calm, wild = (float(np.quantile(volatility, share)) for share in (1 / 3, 2 / 3))
    return inner, calm, wild


class _Sums:
    """Sums over rows so far."""

    def __init__(self, first: Forecasts, stocks: int, main: str):
        self.models, self.main = first.models, main
        models = len(self.models)
        self.days: list[int] = []
        self.value: dict[str, list[np.ndarray]] = {score: [] for score in first.scores()}
        self.lead: dict[str, list[np.ndarray]] = {score: [] for score in self.value}
        self.stock, self.stock_rows = np.zeros((models, stocks)), np.zeros((models, stocks))
        self.inside = np.zeros((2, models, FIFTHS, len(REGIMES)))  # of 50 % and 90 %
        self.counted = np.zeros((models, FIFTHS, len(REGIMES)))
        self.beyond, self.told = np.zeros((models, len(TAILS))), np.zeros(models)
        self.pit = np.zeros((models, BINS))

    def add(self, one: Forecasts, edges: np.ndarray, calm: float, wild: float) -> None:
        scores = one.scores()
        days = one.places[:, 0]
        for day in np.unique(days):
            today = days == day
            self.days.append(int(day))
            for name, values in scores.items():
                self.value[name].append(_mean(values[:, today]))
                self.lead[name].append(_mean(values[:1, today] - values[:, today]))
        self._add_stocks(scores[self.main][:1] - scores[self.main], one.places[:, 1])
        each, of_day = np.unique(days, return_inverse=True)
        volatility = np.array([one.unit[days == day].mean() for day in each])[of_day]
        regime = (volatility > calm).astype(int) + (volatility > wild)
        self._add_shares(one, np.searchsorted(edges, one.scale), regime)

    def _add_stocks(self, lead: np.ndarray, stocks: np.ndarray) -> None:
        known = np.isfinite(lead)
        for model in range(len(self.models)):
            mine = stocks[known[model]]
            np.add.at(self.stock[model], mine, lead[model, known[model]])
            np.add.at(self.stock_rows[model], mine, 1.0)

    def _add_shares(self, one: Forecasts, fifth: np.ndarray, regime: np.ndarray) -> None:
        known = np.asarray(np.isfinite(one.quantiles).all(axis=1))  # (models, rows)
        groups = np.eye(self.counted[0].size)[fifth * len(REGIMES) + regime]  # (rows, groups)

        def counted(flags: np.ndarray) -> np.ndarray:
            return (flags @ groups).reshape(self.counted.shape)

        for which, (low, high) in enumerate(((2, 4), (1, 5))):
            hit = (one.quantiles[:, low] <= one.outcome) & (one.outcome <= one.quantiles[:, high])
            self.inside[which] += counted(hit & known)
        self.counted += counted(known)
        past = [one.outcome < one.quantiles[:, i] for i in (0, 1)]
        past += [one.outcome > one.quantiles[:, i] for i in (5, 6)]
        self.beyond += np.stack([(p & known).sum(axis=1) for p in past], axis=1)
        self.told += known.sum(axis=1)
        self.pit += _histograms(one.pit)

    def tally(self, days: Sequence[str]) -> Tally:
        order = np.argsort(self.days, kind="stable")

        def table(parts: list[np.ndarray]) -> np.ndarray:
            return np.stack(parts, axis=1)[:, order]

        with np.errstate(invalid="ignore"):
            counted = self.counted
            return Tally(
                self.models,
                self.main,
                [days[self.days[int(i)]] for i in order],
                {name: table(parts) for name, parts in self.value.items()},
                {name: table(parts) for name, parts in self.lead.items()},
                self.stock / self.stock_rows,
                self.inside[1].sum(axis=2) / counted.sum(axis=2),
                self.inside[1].sum(axis=1) / counted.sum(axis=1),
                {
                    name: part.sum(axis=(1, 2)) / counted.sum(axis=(1, 2))
                    for name, part in zip((COVER_50, COVER_90), self.inside, strict=True)
                },
                self.beyond / self.told[:, None],
                self.pit / self.pit.sum(axis=1, keepdims=True) * BINS,
                int(self.told[0]),
            )


def _histograms(values: np.ndarray) -> np.ndarray:
    """(models, BINS): `numpy.histogram` from 0 to 1 of (models, rows), NaN left out."""
    edges = np.linspace(0, 1, BINS + 1, dtype=values.dtype)
    bins = np.minimum(np.searchsorted(edges, values, side="right") - 1, BINS - 1)
    models = np.broadcast_to(np.arange(len(values))[:, None], values.shape)
    inside = (values >= 0) & (values <= 1)
    places = models[inside] * BINS + bins[inside]
    return np.bincount(places, minlength=len(values) * BINS).reshape(len(values), BINS)


def _mean(values: np.ndarray) -> np.ndarray:
    """Over rows (models, rows), of those that are there; NaN where none is."""
    known = np.isfinite(values)
    count = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
