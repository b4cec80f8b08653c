"""Regressions beside other estimators: which data, who is compared, and by what.

`python -m tests.alpha.comparison FOLDER [SPLITS] [PARAMETER=VALUE ...]` prints a table and what it
comes to; parameters are those of `BayesianMLPRegressor`. Each score is kept in a file of the
folder, so what was stopped goes on. Each split trains on four fifths of the rows, at most 480, and
all see the same; scores are of the rest. The Gaussian process has a length for each feature, and
noise; ridge and boosting get normal noise as wide as their errors in cross-validation. A Bayesian
deep ensemble (`sklearn-contrib-bde`) is beside them where that is installed, with settings that
take as long as ours.
"""

from __future__ import annotations

import ast
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import scipy.special
import scipy.stats
from sklearn import datasets
from sklearn.base import BaseEstimator
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import cross_val_predict, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tilewright.alpha import BayesianMLPRegressor

ROWS = 600
GAUSSIAN, RIDGE, BOOSTING = PEERS = "Gaussian process", "ridge", "boosting"
OURS, BDE = "ours", "deep ensemble"
FIELDS = ("r2", "log_score")
BDE_SETTINGS: dict[str, Any] = dict(
    hidden_layers=[16, 16], n_members=4, epochs=200, patience=10, lr=1e-3, seed=0,
    warmup_steps=1000, n_samples=500, n_thinning=5,
)  # fmt: skip


@dataclass(frozen=True)
class Score:
    """Of one estimator on one split; `r_hat` is that of test rows' means, the 95 % point."""

    r2: float
    log_score: float
    cover: float
    seconds: float
    r_hat: float = np.nan


def _friedman(number: int, noise: float) -> Callable[[int], tuple[np.ndarray, np.ndarray]]:
    make = getattr(datasets, f"make_friedman{number}")
    return lambda seed: make(n_samples=ROWS, noise=noise, random_state=seed)


def _statsmodels(name: str) -> Callable[[int], tuple[np.ndarray, np.ndarray]]:
    def load(seed: int) -> tuple[np.ndarray, np.ndarray]:
        import statsmodels.api

        found = getattr(statsmodels.api.datasets, name).load_pandas()
        y = np.asarray(found.endog, np.float64)
        y = y[:, 0] / y.sum(axis=1) if y.ndim == 2 else y  # a share of those counted
        chosen = np.random.default_rng(seed).permutation(len(y))[:ROWS]
        return found.exog.select_dtypes("number").to_numpy(np.float64)[chosen], y[chosen]

    return load


PROBLEMS: dict[str, Callable[[int], Any]] = {
    "Friedman 1": _friedman(1, 1.0),
    "Friedman 2": _friedman(2, 125.0),  # a third of the signal's deviation
    "Friedman 3": _friedman(3, 0.1),
    "diabetes": lambda seed: datasets.load_diabetes(return_X_y=True),
    "star98": _statsmodels("star98"),
    "engel": _statsmodels("engel"),
    "grunfeld": _statsmodels("grunfeld"),
    "fair": _statsmodels("fair"),
}
UNCOUNTED = ("fair",)
"""Shown, and not counted: its target is a count that is mostly 0, which no regression here fits."""


def peer(name: str, features: int) -> BaseEstimator:
    """Set up as its own users would."""
    if name == RIDGE:
        return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 4, 22)))
    if name == BOOSTING:
        return GradientBoostingRegressor(random_state=0)
    lengths: Any = np.ones(features)
    kernel = ConstantKernel(1.0, (1e-3, 1e3)) * RBF(lengths, (1e-2, 1e3))
    kernel = kernel + WhiteKernel(0.1, (1e-5, 1e1))
    process = GaussianProcessRegressor(kernel, normalize_y=True, n_restarts_optimizer=1)
    return make_pipeline(StandardScaler(), process)


def split(name: str, seed: int) -> list[Any]:
    """X, X_test, y, y_test."""
    return train_test_split(*PROBLEMS[name](seed), test_size=0.2, random_state=seed)


def score(problem: str, seed: int, name: str, parameters: dict[str, Any]) -> Score:
    """Of one estimator on one split; the parameters are of ours."""
    data = split(problem, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name == OURS:
            return _ours(BayesianMLPRegressor(**parameters), *data)
        if name == BDE:
            return _deep_ensemble(*data)
        return _peer(name, peer(name, data[0].shape[1]), *data)


def _peer(name: str, model: Any, X: Any, X_test: Any, y: Any, y_test: Any) -> Score:
    start = time.process_time()
    model.fit(X, y)
    if name == GAUSSIAN:
        mean, deviation = model.predict(X_test, return_std=True)
    else:
        mean = model.predict(X_test)
        deviation = np.std(y - cross_val_predict(model, X, y, cv=5))
    seconds = time.process_time() - start
    z = (y_test - mean) / deviation
    log_score = -scipy.stats.norm.logpdf(z) + np.log(deviation)
    return Score(
        r_squared(y_test, mean), float(log_score.mean()), _share(np.abs(z) < 1.645), seconds
    )


def _ours(model: BayesianMLPRegressor, X: Any, X_test: Any, y: Any, y_test: Any) -> Score:
    import arviz

    start = time.process_time()
    model.fit(X, y)
    seconds = time.process_time() - start
    location = model._draws(X_test)[0]
    r_hat = [float(arviz.rhat(location[:, :, row])) for row in range(len(X_test))]
    forecast = model.predict_distribution(X_test)
    low, high = forecast.interval(0.9)
    return Score(
        r_squared(y_test, forecast.mean()),
        float(forecast.log_score(y_test).mean()),
        _share((low < y_test) & (y_test < high)),
        seconds,
        float(np.quantile(r_hat, 0.95)),
    )


def _deep_ensemble(X: Any, X_test: Any, y: Any, y_test: Any) -> Score:
    """Nets and trajectories as its documentation has them, the numbers of transitions cut."""
    from bde import BdeRegressor  # pyright: ignore

    centre, unit = y.mean(), y.std()
    scaler = StandardScaler().fit(X)
    model = BdeRegressor(**BDE_SETTINGS)
    start = time.process_time()
    model.fit(scaler.transform(X).astype(np.float32), ((y - centre) / unit).astype(np.float32))
    seconds = time.process_time() - start
    raw = np.asarray(model.predict(scaler.transform(X_test).astype(np.float32), raw=True))
    raw = raw.reshape(-1, len(y_test), 2).astype(np.float64)
    mean, deviation = centre + unit * raw[..., 0], unit * np.logaddexp(0, raw[..., 1])
    density = scipy.stats.norm.logpdf(y_test, mean, deviation)
    level = scipy.stats.norm.cdf(y_test, mean, deviation).mean(axis=0)
    return Score(
        r_squared(y_test, mean.mean(axis=0)),
        float(np.mean(np.log(len(mean)) - scipy.special.logsumexp(density, axis=0))),
        _share((level > 0.05) & (level < 0.95)),
        seconds,
    )


def r_squared(y: np.ndarray, mean: np.ndarray) -> float:
    """Share of the variance of `y` that is foreseen."""
    return float(1 - np.sum((y - mean) ** 2) / np.sum((y - y.mean()) ** 2))


def _share(flags: np.ndarray) -> float:
    return float(np.mean(flags))


def kept(folder: Path, problem: str, seed: int, name: str, parameters: dict[str, Any]) -> Score:
    """The score in its file of the folder; measured, and written, where there is none."""
    words = [problem, name, *(f"{k}={v}" for k, v in parameters.items() if name == OURS)]
    path = folder / f"{' '.join(words)} {seed}.json".replace(" ", "_")
    if not path.exists():
        found = score(problem, seed, name, parameters)
        path.write_text(json.dumps(asdict(found)))
    return Score(**json.loads(path.read_text()))


def column(scores: list[Score], field: str) -> np.ndarray:
    """One figure of all splits, the larger the better of R² and log score."""
    sign = -1 if field == "log_score" else 1
    return sign * np.array([getattr(one, field) for one in scores])


def no_worse(ours: list[Score], peer: list[Score], field: str, margin: str = "none") -> bool:
    """In the mean, but for one standard error over splits: "own", the peer's; "paired", the lead's.

    Splits differ more than estimators do on one, so the paired error is much the stricter.
    """
    lead, theirs = column(ours, field) - column(peer, field), column(peer, field)
    spread = {"none": 0.0, "own": theirs.std(ddof=1), "paired": lead.std(ddof=1)}[margin]
    return bool(lead.mean() >= -spread / len(lead) ** 0.5)


def measured(
    folder: Path,
    splits: int,
    names: list[str],
    parameters: dict[str, Any] | None = None,
    problems: Iterable[str] = tuple(PROBLEMS),
) -> Iterator[tuple[str, dict[str, list[Score]]]]:
    """Problem after problem: the scores of each estimator on each split."""
    folder.mkdir(parents=True, exist_ok=True)
    for problem in problems:
        yield (
            problem,
            {
                name: [
                    kept(folder, problem, seed, name, parameters or {}) for seed in range(splits)
                ]
                for name in names
            },
        )


def main(folder: Path, splits: int, parameters: dict[str, Any]) -> None:
    names = [OURS, *PEERS, *([BDE] if find_spec("bde") else [])]
    counts: dict[str, int] = {}
    for problem, found in measured(folder, splits, names, parameters):
        for name, rows in found.items():
            means = np.mean([list(asdict(row).values()) for row in rows], axis=0)
            print(f"{problem:11} {name:17}", *map("{:8.4f}".format, means), flush=True)
        if problem in UNCOUNTED:
            continue
        for name, margin, field in product(PEERS, ("none", "own", "paired"), FIELDS):
            what = f"no worse than {name} in {field} but for its error ({margin})"
            good = no_worse(found[OURS], found[name], field, margin)
            counts[what] = counts.get(what, 0) + good
    print(
        *(f"{what}: {count} of {len(PROBLEMS) - len(UNCOUNTED)}" for what, count in counts.items()),
        sep="\n",
    )


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


if __name__ == "__main__":
    options = dict(word.split("=", 1) for word in sys.argv[3:])
    main(
        Path(sys.argv[1]),
        int(sys.argv[2]) if len(sys.argv) > 2 else 10,
        {name: _value(text) for name, text in options.items()},
    )
