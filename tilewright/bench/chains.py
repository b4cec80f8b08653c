"""`tilewright.chains` against every way that NumPyro has to run chains, and against other samplers.

Each contender fits a model twice in a process of its own: the first call compiles, the second is
given other data of the same shapes. Contenders take turns, round by round. NumPyro's modes:

    vectorized   all chains in one program, by vmap
    parallel     a host device a chain
    cores        a host device a core, the chains on it by vmap
    sequential   one after the other

`python -m tilewright.bench.chains MODEL CHAINS DRAWS MODE` is such a process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from tilewright.bench.chains_models import Model, models
from tilewright.bench.level import JAX_FLAGS
from tilewright.bench.record import Row
from tilewright.machine.cpu import allowed_cpus

CHAINS = (4, 8, 64)
NUMPYRO = ("vectorized", "parallel", "cores", "sequential")
OTHERS = ("nutpie", "pymc")
FIRST_BAR, AGAIN_BAR = 1 / 0.6, 1 / 0.35
HOPELESS = 4.0
"""A mode so many times slower than the best at fewer chains is not asked about more of them."""
TIMEOUT = 900


def cases(quick: bool) -> Iterable[tuple[str, Callable[[], Sequence[Row]]]]:
    chosen = list(models().items())[: 2 if quick else None]
    for name, model in chosen:
        yield model.title, partial(run, name, model, quick)


def run(name: str, model: Model, quick: bool = False) -> list[Row]:
    """One model, with few chains and with many."""
    rows: list[Row] = []
    modes = list(NUMPYRO)
    for chains in CHAINS[: 1 if quick else None]:
        rounds = 1 if quick or chains > 8 else 3
        others = [m for m in OTHERS if model.pymc and find_spec(m) and chains <= 8]
        found = _rounds(name, chains, 50 if quick else 500, rounds, ["ours", *modes, *others])
        rows += _rows(model.title, chains, found, modes, others)
        best = min(_median(found[mode], "again") for mode in modes)
        modes = [m for m in modes if _median(found[m], "again") < HOPELESS * best]
    return rows


Times = Mapping[str, list[dict[str, float]]]


def _rounds(name: str, chains: int, draws: int, rounds: int, contenders: Sequence[str]) -> Times:
    found: dict[str, list[dict[str, float]]] = {contender: [] for contender in contenders}
    for _ in range(rounds):
        for contender in contenders:
            found[contender].append(_fresh(name, chains, draws, contender))
    return found


def _fresh(name: str, chains: int, draws: int, mode: str) -> dict[str, float]:
    devices = {"parallel": chains, "cores": len(allowed_cpus())}.get(mode, 1)
    flags = " ".join((f"--xla_force_host_platform_device_count={devices}", *JAX_FLAGS))
    command = [sys.executable, "-m", __name__, name, str(chains), str(draws), mode]
    with tempfile.TemporaryDirectory() as folder:
        environment = {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags, "TILEWRIGHT_CACHE": folder}
        done = subprocess.run(
            command,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            check=True,
            timeout=TIMEOUT,
        )
    return json.loads(done.stdout.splitlines()[-1])


def _rows(
    title: str, chains: int, found: Times, modes: Sequence[str], others: Sequence[str]
) -> list[Row]:
    rows = []
    for call, words, bar in (("first", "first call", FIRST_BAR), ("again", "again", AGAIN_BAR)):
        for kind, names in (("NumPyro", modes), ("", others)):
            if not names:
                continue
            best = min(names, key=lambda mode: _median(found[mode], call))
            ratios = [a[call] / b[call] for a, b in zip(found[best], found["ours"], strict=True)]
            low, middle, high = np.percentile(ratios, [25, 50, 75])
            rows.append(
                Row(
                    "chains",
                    f"{title}, {chains} chains, {words}" + ("" if kind else ", other samplers"),
                    _median(found["ours"], call),
                    "s",
                    _median(found[best], call),
                    f"{kind} {best}".strip(),
                    float(middle),
                    float(low),
                    float(high),
                    bar if kind else None,
                    notes=_effective([*names], found),
                    detail=not kind,
                    more={"runs": {mode: found[mode] for mode in ("ours", *names)}},
                )
            )
    return rows


def _effective(names: Sequence[str], found: Times) -> str:
    """Effective draws a second of each."""
    rates = {
        name: _median(found[name], "ess") / _median(found[name], "again")
        for name in ("ours", *names)
    }
    return "effective draws/s: " + ", ".join(f"{name} {rate:,.0f}" for name, rate in rates.items())


def _median(runs: Sequence[Mapping[str, float]], what: str) -> float:
    return float(np.median([run[what] for run in runs]))


# What the fresh process does.


def main(name: str, chains: str, draws: str, mode: str) -> None:
    model, times = models()[name], {}
    prepare = _pymc_fit if mode in OTHERS else _numpyro_fit
    fit = prepare(model, int(chains), int(draws), mode)
    for seed, call in enumerate(("first", "again")):
        data = tuple(np.roll(array, seed, axis=0) for array in model.data)
        start = time.perf_counter()
        found = fit(data, seed)
        times[call] = time.perf_counter() - start
    print(json.dumps(times | {"ess": _smallest_ess(found)}))


Fit = Callable[[Sequence[np.ndarray], int], dict[str, np.ndarray]]
"""Draws (chains, draws, ...) of every parameter, for data and a seed."""


def _numpyro_fit(model: Model, chains: int, draws: int, mode: str) -> Fit:
    """One `MCMC` for all data, told that they are arguments: NumPyro then compiles least."""
    import jax
    from numpyro.infer import MCMC, NUTS

    import tilewright

    methods: dict[str, Any] = {"ours": tilewright.chains, "cores": _on_each_core}
    mcmc = MCMC(
        NUTS(model.numpyro),
        num_warmup=draws,
        num_samples=draws,
        num_chains=chains,
        chain_method=methods.get(mode, mode),
        progress_bar=False,
        jit_model_args=True,
    )

    def fit(data: Sequence[np.ndarray], seed: int) -> dict[str, np.ndarray]:
        mcmc.run(jax.random.key(seed), *data)
        return {k: np.asarray(v) for k, v in mcmc.get_samples(group_by_chain=True).items()}

    return fit


def _on_each_core(chain: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Vectorised on each device, as NumPyro's documentation mixes the two."""
    import jax

    count = jax.local_device_count()

    def run(arguments: Any) -> Any:
        shared = jax.tree.map(lambda x: x.reshape(count, -1, *x.shape[1:]), arguments)
        results = jax.pmap(jax.vmap(chain))(shared)
        return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), results)

    return run


def _pymc_fit(model: Model, chains: int, draws: int, mode: str) -> Fit:
    import pymc

    settings: dict[str, Any] = dict(tune=draws, draws=draws, chains=chains)

    def fit(data: Sequence[np.ndarray], seed: int) -> dict[str, np.ndarray]:
        assert model.pymc is not None
        with pymc.Model() as made:
            model.pymc(*data)
        if mode == "nutpie":
            import nutpie

            compiled = nutpie.compile_pymc_model(made)
            found = nutpie.sample(compiled, seed=seed, progress_bar=False, **settings)
        else:
            more: dict[str, Any] = dict(random_seed=seed, progressbar=False)
            more |= dict(cores=len(allowed_cpus()), compute_convergence_checks=False)
            found = pymc.sample(model=made, **settings, **more)
        return {k: np.asarray(found.posterior[k]) for k in found.posterior}

    return fit


def _smallest_ess(draws: Mapping[str, np.ndarray]) -> float:
    """Of all coordinates of all parameters, in bulk."""
    import arviz

    data = arviz.convert_to_dataset({k: v.astype(float) for k, v in draws.items()})
    return min(float(array.min()) for array in arviz.ess(data).values())


if __name__ == "__main__":
    main(*sys.argv[1:])
