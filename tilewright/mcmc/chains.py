"""`chains`: independent Markov chains on all cores, as the `chain_method` of NumPyro and PyMC.

    MCMC(NUTS(model), num_warmup=500, num_samples=500, num_chains=8, chain_method=tilewright.chains)
    pymc.sampling.jax.sample_numpyro_nuts(chain_method=tilewright.chains)

Both hand over a function of one chain and its arguments, stacked over chains; any other function
of that kind, such as a loop over a BlackJAX kernel, is taken as well. It is compiled as a
`tile_map`: each chain is whole on one core, and one with long trajectories holds up nobody, as it
does under `vmap`.

A program is kept by what the function does and by shapes: the same model fitted again, also to
new data that it closes over, is traced anew but compiles nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

import jax

from tilewright.compiler import compile
from tilewright.errors import ArgumentError, UnsupportedError
from tilewright.trace.jax_internals import is_tracing
from tilewright.trace.tile_map import tile_map

if TYPE_CHECKING:
    from tilewright.runtime.run import Run

PATIENCE = 2.0
"""Seconds that a run may take without a bar."""


def chains(
    fn: Callable | None = None, *, progress: bool | None = None, tiles: int | None = None
) -> Callable:
    """A function that runs `fn`, one chain a core, over arguments stacked along a first axis.

    `fn` maps the arguments of one chain to its results, pytrees of arrays; results come stacked
    along a new first axis, as JAX arrays. The numbers of a chain depend on its own arguments alone:
    neither on the other chains, nor on the number of cores.

    `progress`: a bar on the standard error stream for runs of more than two seconds; by default
    where that is a terminal. `tiles`: cores at most (default: all). Without `fn`, what is returned
    takes it, with these settings: `chain_method=tilewright.chains(tiles=4)`.

    Ctrl-C ends a run within 0.2 s. Inside a JAX transformation, chains are a plain `tile_map`.
    NumPyro calls no `chain_method` for a single chain: that one is run by JAX.

    Raises `UnsupportedError` for samplers whose chains look at each other, and for what
    `tilewright.compile` cannot express; `ArgumentError` for arguments of different lengths, and for
    what is no function.
    """
    if fn is None:
        return partial(chains, progress=progress, tiles=tiles)
    if not callable(fn):
        raise ArgumentError(f"chains are of a function, not of {type(fn).__name__} {fn!r}.")
    _refuse_ensembles(fn)
    mapped = tile_map(fn)

    @wraps(fn)
    def run(*args: Any) -> Any:
        leaves = jax.tree.leaves(args)
        if is_tracing() or any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
            return mapped(*args)
        executable = compile(mapped, *args, tiles=tiles)
        with executable.start(*args) as under_way, _bar(under_way, progress):
            return jax.tree.map(jax.numpy.asarray, under_way.result())

    return run


def _refuse_ensembles(fn: Callable) -> None:
    """NumPyro hands over a method of its `MCMC`, which knows the kernel."""
    owner = getattr(getattr(fn, "func", fn), "__self__", None)
    kernel = getattr(owner, "sampler", None)
    if getattr(kernel, "is_ensemble_kernel", False):
        raise UnsupportedError(
            f"chains of {type(kernel).__name__} look at each other, so they cannot run one a core: "
            'use chain_method="vectorized".'
        )


@contextmanager
def _bar(run: Run, wanted: bool | None) -> Iterator[None]:
    """Chains that are done, and turns of their loops, while the block waits for the run."""
    if not (sys.stderr.isatty() if wanted is None else wanted):
        yield
        return
    from tilewright.mcmc.progress import ChainProgress

    with ChainProgress(run, patience=PATIENCE):
        yield
