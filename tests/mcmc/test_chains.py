"""NumPyro's samplers through `chains`: its own transitions, program kept, refusals."""

import io
import os
import re
import subprocess
import sys
from typing import Any

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.infer import (
    AIES,
    HMC,
    MCMC,
    NUTS,
    SA,
    BarkerMH,
    DiscreteHMCGibbs,
    HMCGibbs,
    MixedHMC,
)
from rich.console import Console

import tilewright
from tilewright.mcmc import progress

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(60, 3)).astype(np.float32)
Y = (RANDOM.random(60) < 1 / (1 + np.exp(-X @ [1.0, -1.0, 0.5]))).astype(np.float32)
KEY = jax.random.key(1)


def logistic(x, y):
    slope = numpyro.sample("slope", dist.Normal(0, 1).expand([3]))
    numpyro.sample("y", dist.Bernoulli(logits=x @ slope), obs=y)


def switched(x, y):
    """With a parameter that a Gibbs step can draw, and a discrete one."""
    share = numpyro.sample("share", dist.Beta(1, 1))
    on = numpyro.sample("on", dist.Bernoulli(share))
    slope = numpyro.sample("slope", dist.Normal(0, 1).expand([3]))
    numpyro.sample("y", dist.Bernoulli(logits=x @ slope + on), obs=y)


def shifted(x, y):
    share = numpyro.sample("share", dist.Beta(1, 1))
    slope = numpyro.sample("slope", dist.Normal(share, 1).expand([3]))
    numpyro.sample("y", dist.Bernoulli(logits=x @ slope), obs=y)


def draw_share(rng_key, gibbs_sites, hmc_sites):
    return {"share": dist.Beta(1 + jnp.abs(hmc_sites["slope"][0]), 1).sample(rng_key)}


KERNELS = {
    "nuts": lambda: NUTS(logistic),
    "hmc": lambda: HMC(logistic, trajectory_length=1.0),
    "sa": lambda: SA(logistic),
    "barker, dense": lambda: BarkerMH(logistic, dense_mass=True),
    "gibbs": lambda: HMCGibbs(NUTS(shifted), gibbs_fn=draw_share, gibbs_sites=["share"]),
    "discrete gibbs": lambda: DiscreteHMCGibbs(HMC(switched, trajectory_length=1.0)),
    "mixed": lambda: MixedHMC(HMC(switched, trajectory_length=1.0)),
}


@pytest.fixture(autouse=True, scope="module")
def hasty():
    """JAX's own chains are compiled sooner this way, and its numbers are the same."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def one_by_one(chain):
    """NumPyro's "sequential" as a single program."""
    return lambda arguments: jax.lax.map(chain, arguments)


def sampled(kernel, method, chains=2, x: Any = X, y: Any = Y, fields=(), **settings) -> Any:
    settings = {"num_warmup": 10, "num_samples": 10, "progress_bar": False} | settings
    mcmc = MCMC(kernel, num_chains=chains, chain_method=method, **settings)
    mcmc.run(KEY, x, y, extra_fields=fields)
    return mcmc


def same(ours: Any, theirs: Any, tolerance=2e-3):
    for mine, its in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert mine.dtype == its.dtype
        if jnp.issubdtype(its.dtype, jax.dtypes.prng_key):
            mine, its = jax.random.key_data(mine), jax.random.key_data(its)
        np.testing.assert_allclose(mine, its, rtol=tolerance, atol=tolerance)


LONG = ("mixed", "discrete gibbs")
"""Kernels that take longest to compile, for them and for us."""


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n in LONG else n for n in KERNELS],
)
def test_twenty_transitions_of_each_kernel_are_numpyros(name):
    method = "sequential" if name == "nuts" else one_by_one
    fields = ("num_steps", "adapt_state.step_size") if name in ("nuts", "hmc") else ()
    ours = sampled(KERNELS[name](), tilewright.chains, fields=fields)
    theirs = sampled(KERNELS[name](), method, fields=fields)
    same(ours.get_samples(group_by_chain=True), theirs.get_samples(group_by_chain=True))
    same(ours.get_extra_fields(), theirs.get_extra_fields())
    same(ours.last_state.rng_key, theirs.last_state.rng_key)


def test_warm_up_then_draws_and_on_from_there():
    def run(method):
        mcmc: Any = MCMC(
            NUTS(logistic), num_warmup=10, num_samples=12, thinning=3, num_chains=2,
            chain_method=method, progress_bar=False,
        )  # fmt: skip
        mcmc.warmup(KEY, X, Y, collect_warmup=True)
        warm = mcmc.get_samples()
        mcmc.run(jax.random.key(2), X, Y)
        first = mcmc.get_samples(group_by_chain=True)
        mcmc.post_warmup_state = mcmc.last_state
        mcmc.run(mcmc.post_warmup_state.rng_key, X, Y)
        return warm, first, mcmc.get_samples()

    ours, theirs = run(tilewright.chains), run(one_by_one)
    assert ours[1]["slope"].shape == (2, 4, 3)
    same(ours, theirs, 1e-2)


def test_in_double_precision():
    with jax.enable_x64(True):
        x, y = X.astype(np.float64), Y.astype(np.float64)
        ours = sampled(NUTS(logistic), tilewright.chains, x=x, y=y).get_samples()
        same(ours, sampled(NUTS(logistic), one_by_one, x=x, y=y).get_samples(), 1e-9)
        assert ours["slope"].dtype == np.float64


def test_a_chain_does_not_hang_on_the_others():
    keys = jax.random.split(KEY, 5)

    def slopes(keys, **settings):
        method: Any = tilewright.chains(**settings)
        mcmc = MCMC(
            NUTS(logistic), num_warmup=10, num_samples=10, num_chains=len(keys),
            chain_method=method, progress_bar=False,
        )  # fmt: skip
        mcmc.run(keys, X, Y)
        return np.asarray(mcmc.get_samples(group_by_chain=True)["slope"])

    together = slopes(keys)
    np.testing.assert_array_equal(together, slopes(keys, tiles=1))
    np.testing.assert_array_equal(together[3:], slopes(keys[3:]))


AGAIN = """
import sys
from pathlib import Path
import jax, numpy as np, numpyro, numpyro.distributions as dist
from numpyro.infer import MCMC, NUTS
import tilewright

for seed in range(3):
    data = np.random.default_rng(seed)
    x, y = data.normal(size=(60, 3)), data.integers(0, 2, 60)

    def model(given):  # x is closed over, y given
        slope = numpyro.sample("slope", dist.Normal(0, 1).expand([3]))
        numpyro.sample("y", dist.Bernoulli(logits=x @ slope), obs=given)

    mcmc = MCMC(
        NUTS(model), num_warmup=5, num_samples=5, num_chains=2, progress_bar=False,
        chain_method=tilewright.chains,
    )
    mcmc.run(jax.random.key(seed), y)
    print(len([*Path(sys.argv[1]).glob("*.object")]))
"""


def test_a_model_fitted_again_to_new_data_compiles_nothing(tmp_path):
    environment = os.environ | {"TILEWRIGHT_CACHE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", AGAIN, str(tmp_path)],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    first, *later = map(int, done.stdout.split())
    assert first > 0
    assert later == [first, first]


def test_any_function_of_a_chain():
    sampler: Any = blackjax.hmc(lambda q: -jnp.sum(q**2) / 2, 0.3, jnp.ones(2), 5)

    def chain(key, start):
        def draw(state, key):
            state, _ = sampler.step(key, state)
            return state, state.position

        return jax.lax.scan(draw, sampler.init(start), jax.random.split(key, 20))[1]

    keys, starts = jax.random.split(KEY, 3), np.ones((3, 2), np.float32)
    draws = tilewright.chains(chain)(keys, starts)
    same(draws, jax.vmap(chain)(keys, starts))
    same(jax.jit(tilewright.chains(chain))(keys, starts), draws)


def test_inside_of_a_transformation_that_only_what_is_closed_over_takes_part_in():
    def total(scale):
        return tilewright.chains(lambda x: scale * x)(jnp.arange(4.0)).sum()

    assert (float(jax.grad(total)(2.0)), float(total(2.0))) == (6.0, 12.0)


def test_what_is_no_function_is_refused():
    with pytest.raises(tilewright.ArgumentError, match="chains are of a function, not of int 4"):
        tilewright.chains(4)  # pyright: ignore[reportArgumentType]


def test_ensembles_are_refused_by_name():
    def mean(x):
        numpyro.sample("mean", dist.Normal(0, 1))

    method: Any = tilewright.chains
    ensemble = MCMC(
        AIES(mean), num_warmup=2, num_samples=2, num_chains=4, chain_method=method,
        progress_bar=False,
    )  # fmt: skip
    with pytest.raises(tilewright.UnsupportedError, match="AIES look at each other"):
        ensemble.run(KEY, X)


def test_a_bar_shows_chains():
    turns = tilewright.compile(
        tilewright.tile_map(lambda n: jax.lax.fori_loop(0, n, lambda i, x: x * 0.5 + i, 0.0)),
        np.zeros(4, np.int32),
    )
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=100)
    run = turns.start(np.full(4, 30_000_000, np.int32))
    with run, progress.ChainProgress(run, patience=0.0, console=console):
        run.wait()
    assert "/4" in shown.getvalue()
    assert re.search(r"[1-9][\d,]* turns of loops", shown.getvalue())
