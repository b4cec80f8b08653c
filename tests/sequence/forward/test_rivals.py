"""Rivals of one window against the same models made another way: by loops, SciPy, least squares."""

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar
from scipy.stats import t as student

from tests.alpha.market import prices
from tilewright.alpha.baselines import NULL
from tilewright.alpha.noise import DEGREES
from tilewright.alpha.walking.windows import windows_of
from tilewright.alpha.windows import CLIP
from tilewright.models.bnn import LEAST_DEGREES, SCALE
from tilewright.sequence.forward.har import MONTH, TEXTBOOK
from tilewright.sequence.forward.panel import make_forward_panel
from tilewright.sequence.forward.rivals import EWMA, HAR, HAR20, HAR_OWN, LINEAR, Rivals
from tilewright.sequence.forward.settings import DENSITY, VOLATILITY, ForwardSettings

PRICES = prices(days=700)
RETURNS = np.diff(np.log(PRICES.values), axis=0, prepend=np.nan)
TIGHT = dict(maxiter=2000, maxfun=100_000, ftol=1e-13, gtol=1e-6)
STOCKS = range(PRICES.values.shape[1])


@cache
def made(kind: str) -> SimpleNamespace:
    """The last whole window: day and stock of its rows, learned and tested, and what rivals say."""
    settings = ForwardSettings(target=kind, train=250, test=60)
    window = [one for one in windows_of(PRICES.days, settings) if one.whole][-1]
    panel = make_forward_panel(PRICES, kind)
    learned = np.array([
        (day, stock) for day in range(window.start, window.stop) for stock in STOCKS
        if panel.there[day, stock] and np.isfinite(panel.target[day, stock])
    ])  # fmt: skip
    places = panel.places(window.test, window.end)
    said = Rivals(panel, panel.target).forecasts(window, places)
    return SimpleNamespace(
        window=window, panel=panel, said=said, learned=tuple(learned.T), tested=tuple(places.T)
    )


def likeliest(errors: np.ndarray, df: float) -> tuple[float, float]:
    """Scale of t noise about 0, and the sum of its log densities."""
    found = minimize_scalar(
        lambda log: -student.logpdf(errors, df, 0, np.exp(log)).sum(),
        bounds=(-8, 5), method="bounded", options=dict(xatol=1e-9),
    )  # fmt: skip
    return float(np.exp(found.x)), -float(found.fun)


def test_scales_that_are_always_the_same():
    of = made(DENSITY)
    (day, stock), (d, s), unit = of.learned, of.tested, of.panel.unit
    y = RETURNS[day + 1, stock] / unit[day, stock]
    np.testing.assert_allclose(y, of.panel.target[day, stock])
    df = DEGREES[np.argmax([likeliest(y, df)[1] for df in DEGREES])]
    assert of.said[EWMA].df == df
    np.testing.assert_allclose(of.said[EWMA].scale[0], likeliest(y, df)[0], rtol=1e-6)
    own = np.array([likeliest(RETURNS[day + 1, stock][stock == one], df)[0] for one in STOCKS])
    ((known, null),) = of.said[NULL]
    assert len(known) == len(d)
    np.testing.assert_allclose(null.scale[0], own[s] / unit[d, s], rtol=1e-6)


def test_a_scale_that_is_linear_in_past_moves():
    of = made(DENSITY)
    y, table = of.panel.target[of.learned], of.panel.inputs[..., list(HAR_OWN)].astype(float)
    centre, spread = table[of.learned].mean(axis=0), table[of.learned].std(axis=0)
    X, ahead = (((table[w] - centre) / spread).clip(-CLIP, CLIP) for w in (of.learned, of.tested))
    penalty = X.shape[1] / SCALE.linear**2

    def cost(at: np.ndarray) -> float:
        df, scale = LEAST_DEGREES + np.exp(at[1]), np.exp(at[0] + X @ at[2:])
        return 0.5 * penalty * at[2:] @ at[2:] - student.logpdf(y, df, 0, scale).sum()

    found = minimize(
        cost, np.r_[0.0, 1.0, np.zeros(X.shape[1])], method="L-BFGS-B", options=TIGHT
    ).x
    wanted = np.exp(found[0] + ahead @ found[2:])
    np.testing.assert_allclose(of.said[HAR].scale[0], wanted, rtol=2e-3)
    assert of.said[HAR].df == pytest.approx(LEAST_DEGREES + np.exp(found[1]), rel=1e-2)


def test_means_of_volatilities():
    of = made(VOLATILITY)
    (day, stock), (d, s) = of.learned, of.tested
    level = np.log(of.panel.unit)
    came = [
        0.5 * np.log(np.mean(RETURNS[a + 1 : a + 6, b] ** 2))
        for a, b in zip(day, stock, strict=True)
    ]
    np.testing.assert_allclose(np.array(came) - level[day, stock], of.panel.target[day, stock])
    own = np.array([np.mean(np.array(came)[stock == one]) for one in STOCKS])
    np.testing.assert_allclose(of.said[NULL].location[0], own[s] - level[d, s])
    mean = np.mean(came - level[day, stock])
    np.testing.assert_allclose(of.said[EWMA].location[0], mean)


@pytest.mark.parametrize("name", [HAR, HAR20, LINEAR])
def test_regressions_of_volatilities_refitted_every_month(name):
    """By least squares on rows whose five days are over when the month begins."""
    of = made(VOLATILITY)
    level, (d, s) = np.log(of.panel.unit), of.tested
    X = {HAR: of.panel.har[..., list(TEXTBOOK)], HAR20: of.panel.har, LINEAR: of.panel.inputs}[name]
    shift = 0 * level if name == LINEAR else level
    y, wanted = of.panel.target + shift, np.empty(len(d))
    for start in range(of.window.test, of.window.end, MONTH):
        over = np.arange(len(y)) + 5 <= start
        rows = np.nonzero(np.isfinite(y) & over[:, None])
        design = np.column_stack([np.ones(len(rows[0])), X[rows]])
        line = np.linalg.lstsq(design, y[rows], rcond=None)[0]
        mine = (d >= start) & (d < start + MONTH)
        wanted[mine] = line[0] + X[d[mine], s[mine]] @ line[1:]
    np.testing.assert_allclose(of.said[name].location[0], wanted - shift[d, s], atol=1e-6)
