"""Effective draws a second of the scale net's posterior: ours, the same chains by JAX, and others.

Windows of 1,000 days and 20 stocks, spread over the years; all chains start cold. Each contender
has a process of its own, pinned to one core, and is asked for one window after the other; times are
processor seconds of chains alone, nothing compiled. Effective draws are those of what is forecast
for rows held out: location, log-scale at some rows, and the degrees of freedom.

    ours      `tilewright.alpha.scale`, chains of a window one after the other
    JAX       the same function, by `jax.jit`; and so with the rows' features in columns, which
              XLA likes better
    NumPyro   the same model, its NUTS and warm-up, weights in units of their scales
    nutpie    the same by PyMC

All have as many warm-up transitions, draws and steps of a trajectory. `python -m
tilewright.bench.scale CONTENDER WINDOWS CHAINS` is such a process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

from tilewright.alpha.scale.settings import FLOOR, ScaleSettings
from tilewright.bench.level import JAX_FLAGS
from tilewright.bench.record import Row
from tilewright.machine.cpu import allowed_cpus

OURS, JAX, COLUMNS, NUMPYRO, NUTPIE = ("ours", "JAX", "JAX, columns", "NumPyro", "nutpie")
CONTENDERS = (OURS, JAX, COLUMNS, NUMPYRO, NUTPIE)
WINDOWS, CHAINS, BAR = 8, 2, 2.0
ROWS = 9
"""Held-out rows that are looked at."""
SETTINGS = ScaleSettings(test=63, chains=CHAINS)
TIMEOUT = 3600


class Found(NamedTuple):
    """Draws of a window's chains, (chains, draws, quantities), and what they took."""

    traces: np.ndarray
    seconds: float


def cases(quick: bool) -> Iterable[tuple[str, Callable[[], Sequence[Row]]]]:
    yield "scale net, cold chains", partial(run, 1 if quick else WINDOWS)


def run(windows: int = WINDOWS) -> list[Row]:
    """Every contender that is installed; a row for the best peer, and one for each other."""
    needs = {NUMPYRO: "numpyro", NUTPIE: "nutpie"}
    there = [name for name in CONTENDERS if name not in needs or find_spec(needs[name])]
    found = {name: _fresh(name, windows) for name in there}
    peers = [name for name in there if name != OURS]
    best = max(peers, key=lambda name: np.median(_rates(found[name])))
    return [_row(found, name, BAR if name == best else None) for name in peers]


def _fresh(name: str, windows: int) -> list[dict[str, float]]:
    command = [sys.executable, "-m", __name__, name, str(windows), str(CHAINS)]
    environment = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": " ".join(JAX_FLAGS), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, check=True, timeout=TIMEOUT,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def _rates(runs: Sequence[Mapping[str, float]]) -> np.ndarray:
    """Effective draws a second of each window."""
    return np.array([one["ess"] / one["seconds"] for one in runs])


def _row(found: Mapping[str, list[dict[str, float]]], peer: str, bar: float | None) -> Row:
    ours, theirs = (_rates(found[name]) for name in (OURS, peer))
    low, middle, high = np.percentile(ours / theirs, [25, 50, 75])
    worst = {name: max(run["r_hat"] for run in found[name]) for name in (OURS, peer)}
    return Row(
        "scale", f"scale net, 1,000 days × 20 stocks, cold, against {peer}",
        float(np.median(ours)), "effective draws/s", float(np.median(theirs)), peer,
        float(middle), float(low), float(high), bar,
        notes=f"worst R-hat {worst[OURS]:.2f} (peer {worst[peer]:.2f}); "
        f"{len(ours)} windows of {CHAINS} chains",
        detail=bar is None, more={"runs": {name: found[name] for name in (OURS, peer)}},
    )  # fmt: skip


# What the fresh process does.


def main(contender: str, windows: str, chains: str) -> None:
    os.sched_setaffinity(0, {max(allowed_cpus())})
    if contender == COLUMNS:
        _turn()
    fit = {OURS: _ours, NUMPYRO: _numpyro, NUTPIE: _nutpie}.get(contender, _jax)
    given = _windows(int(windows))
    sampler = fit(given[0][1], int(chains))
    print(json.dumps([_summary(sampler(*one)) for one in given]))


def _windows(count: int) -> list[tuple[Any, Any, np.ndarray]]:
    """A window, its training rows, and rows held out, (ROWS, 28)."""
    from tilewright.alpha.scale.panel import make_panel, test_rows, training_rows
    from tilewright.alpha.tables import sp500
    from tilewright.alpha.walking.windows import windows_of

    prices = sp500()
    panel, every = make_panel(prices, 1), windows_of(prices.days, SETTINGS)
    whole = [window for window in every if window.whole]
    found = []
    for place in np.linspace(0, len(whole) - 1, count).astype(int):
        rows = training_rows(panel, whole[place])
        X = test_rows(panel, whole[place], rows)[1]
        found.append((whole[place], rows, X[np.linspace(0, len(X) - 1, ROWS).astype(int)]))
    return found


def _summary(found: Found) -> dict[str, float]:
    import arviz

    traces = [np.ascontiguousarray(found.traces[:, :, i]) for i in range(found.traces.shape[2])]
    return {
        "seconds": found.seconds,
        "ess": float(np.mean([float(arviz.ess(trace)) for trace in traces])),
        "r_hat": float(np.max([float(arviz.rhat(trace)) for trace in traces])),
    }


Sampler = Callable[[Any, Any, np.ndarray], Found]


def _traces(constant: Any, log_scale: Any, degrees: Any) -> np.ndarray:
    """(chains, draws, 1 + rows + 1)."""
    parts = [np.asarray(constant)[..., None], np.asarray(log_scale), np.asarray(degrees)[..., None]]
    return np.concatenate(parts, axis=-1)


def _of_fit(fit: Any, X: np.ndarray, seconds: float) -> Found:
    mean, scale, df = fit.forecasts(X)
    return Found(_traces(mean[..., 0], np.log(scale), df), seconds)


def _ours(rows: Any, chains: int) -> Sampler:
    from dataclasses import replace

    from tilewright.alpha.scale.program import fit_window, program

    settings = replace(SETTINGS, chains=chains)
    program(settings, len(rows.y))

    def sample(window: Any, rows: Any, X: np.ndarray) -> Found:
        began = time.process_time()
        fit = fit_window(settings, rows, window, None, "real")
        return _of_fit(fit, X, time.process_time() - began)

    return sample


class _Columns(NamedTuple):
    """Rows whose features are in columns, (features, rows)."""

    turned: Any

    def __matmul__(self, weights: Any) -> Any:
        return weights @ self.turned


def _turn() -> None:
    """From now on, rows of this process's densities are in columns."""
    import jax

    from tilewright.models import bnn

    by_rows = bnn.log_density

    def by_columns(X: Any, *others: Any) -> Any:
        return by_rows(_Columns(jax.lax.optimization_barrier(X.T)), *others)  # or it is undone

    bnn.log_density = by_columns


def _jax(rows: Any, chains: int) -> Sampler:
    """`fit_window`, with chains by JAX."""
    from dataclasses import replace

    import jax

    from tilewright.alpha.scale.chain import sample_chain
    from tilewright.alpha.scale.fit import form_of
    from tilewright.alpha.scale.program import Part, fit_of, keys_of, nothing

    settings = replace(SETTINGS, chains=chains)
    run = jax.jit(partial(sample_chain, settings.chain, form_of(settings)))
    state = jax.tree.map(lambda leaf: leaf[0], nothing(settings).position)
    count = sum(leaf.size for leaf in jax.tree.leaves(state))
    empty = np.ones(count, np.float32), np.float32(1)

    def chain(key: Any, rows: Any) -> Any:
        found = run(key, np.bool_(True), state, *empty, rows.X, rows.y, rows.weight)
        return jax.tree.map(lambda leaf: np.asarray(leaf)[None], found)

    chain(keys_of(settings, _windows(1)[0][0], "real")[0], rows)

    def sample(window: Any, rows: Any, X: np.ndarray) -> Found:
        keys, began = keys_of(settings, window, "real"), time.process_time()
        parts = [Part(chain(keys[i], rows), rows.centre, rows.spread) for i in range(chains)]
        seconds = time.process_time() - began
        return _of_fit(fit_of(settings, parts, None), X, seconds)

    return sample


def _columns(rows: Any, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Training rows and those held out as the net sees them: features, then units."""
    from tilewright.alpha.scale.units import apart, linear_part, units_of

    count = SETTINGS.hidden
    linear = np.asarray(linear_part(rows.X, units_of(rows.X, count), rows.weight), np.float64)
    pair = (np.asarray(rows.X, np.float64), np.asarray(X, np.float64))
    seen = [np.concatenate([x, apart(x, units_of(x, count, np), linear)], axis=1) for x in pair]
    return seen[0][rows.known].astype(np.float32), seen[1]


def _sizes(features: int) -> tuple[float, float]:
    """Medians of the scales of a weight, linear and of a unit."""
    from tilewright.models.bnn import SCALE

    return SCALE.linear / features**0.5, SCALE.out / SETTINGS.hidden**0.5


def _numpyro(rows: Any, chains: int) -> Sampler:
    import jax
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist
    from numpyro.infer import MCMC, NUTS

    features = rows.X.shape[1]
    linear, out = _sizes(features)

    def model(seen: Any, y: Any) -> None:
        normal = dist.Normal(0, 1)
        mean, constant = numpyro.sample("mean", normal), numpyro.sample("constant", normal)
        tau: Any = numpyro.sample("log_tau", normal.expand([2]))
        z = numpyro.sample("z", normal.expand([seen.shape[1]]))
        size = jnp.where(jnp.arange(seen.shape[1]) < features, linear * jnp.exp(tau[0]),
                         out * jnp.exp(tau[1]))  # fmt: skip
        log_scale = constant - 1 + seen @ (z * size)
        scale = jnp.sqrt(jnp.exp(2 * log_scale) + FLOOR**2)
        df = 2 + 6 * jnp.exp(numpyro.sample("log_df", normal))
        numpyro.sample("y", dist.StudentT(df, mean, scale), obs=y)

    chain = SETTINGS.chain
    kernel = NUTS(model, target_accept_prob=chain.target_acceptance, max_tree_depth=chain.doublings)
    mcmc = MCMC(kernel, num_warmup=chain.warmup, num_samples=chain.draws, num_chains=chains,
                chain_method="sequential", progress_bar=False, jit_model_args=True)  # fmt: skip
    mcmc.run(jax.random.key(1), _columns(rows, rows.X[:1])[0], rows.y[rows.known])

    def sample(window: Any, rows: Any, X: np.ndarray) -> Found:
        seen, held = _columns(rows, X)
        began = time.process_time()
        mcmc.run(jax.random.key(window.number), seen, rows.y[rows.known])
        drawn = {k: np.asarray(v) for k, v in mcmc.get_samples(group_by_chain=True).items()}
        return _of_draws(drawn, held, features, time.process_time() - began)

    return sample


def _of_draws(
    drawn: Mapping[str, np.ndarray], held: np.ndarray, features: int, seconds: float
) -> Found:
    """From the parameters of the other samplers' model."""
    linear, out = _sizes(features)
    tau: Any = np.exp(drawn["log_tau"].astype(np.float64))
    mine: Any = np.arange(held.shape[1]) < features
    size = np.where(mine, linear * tau[..., :1], out * tau[..., 1:])
    log_scale = drawn["constant"][..., None] - 1 + (drawn["z"] * size) @ held.T
    log_scale = 0.5 * np.log(np.exp(2 * log_scale) + FLOOR**2)
    return Found(_traces(drawn["mean"], log_scale, 2 + 6 * np.exp(drawn["log_df"])), seconds)


def _nutpie(rows: Any, chains: int) -> Sampler:
    import nutpie
    import pymc
    import pytensor.tensor as pt

    features = rows.X.shape[1]
    linear, out = _sizes(features)
    seen = _columns(rows, rows.X[:1])[0]
    mine = np.arange(seen.shape[1]) < features
    exp: Any = pt.exp
    with pymc.Model() as model:
        data = pymc.Data("seen", seen), pymc.Data("came", rows.y[rows.known])
        mean, constant = pymc.Normal("mean"), pymc.Normal("constant")
        tau, z = pymc.Normal("log_tau", shape=2), pymc.Normal("z", shape=seen.shape[1])
        size = pt.where(mine, linear * exp(tau[0]), out * exp(tau[1]))
        log_scale = constant - 1 + data[0] @ (z * size)
        scale = pt.sqrt(exp(2 * log_scale) + FLOOR**2)
        df = 2 + 6 * exp(pymc.Normal("log_df"))
        pymc.StudentT("y", nu=df, mu=mean, sigma=scale, observed=data[1])
    compiled, chain = nutpie.compile_pymc_model(model), SETTINGS.chain
    options: dict[str, Any] = dict(
        draws=chain.draws, tune=chain.warmup, chains=chains, cores=1, progress_bar=False,
        target_accept=chain.target_acceptance, maxdepth=chain.doublings,
    )  # fmt: skip
    nutpie.sample(compiled, seed=1, **{**options, "draws": 5, "tune": 5})

    def sample(window: Any, rows: Any, X: np.ndarray) -> Found:
        seen, held = _columns(rows, X)
        given = compiled.with_data(seen=seen, came=rows.y[rows.known])
        began = time.process_time()
        trace = nutpie.sample(given, seed=window.number, **options)
        seconds = time.process_time() - began
        names = ("mean", "constant", "log_tau", "z", "log_df")
        drawn = {name: np.asarray(trace.posterior[name]) for name in names}
        return _of_draws(drawn, held, features, seconds)

    return sample


if __name__ == "__main__":
    main(*sys.argv[1:])
