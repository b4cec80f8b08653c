"""Which server for this job? The same function on machines that are not here, before renting one.

Here: the talk's net, 32 chains of some leapfrog steps over 1,000 rows, one chain a core.
"""

import jax
import jax.numpy as jnp
import numpy as np
from rich import print

import tilewright
from tilewright.machine import machine

rng = np.random.default_rng(0)
x = rng.normal(size=(1000, 22)).astype(np.float32)
y = rng.normal(size=1000).astype(np.float32)


def energy(weights):
    return jnp.sum((jnp.tanh(x @ weights).sum(1) - y) ** 2)


def chain(weights, momentum, steps):
    """`steps` is data: how often the loop turns is not known before a run."""

    def turn(_, state):
        weights, momentum = state
        momentum = momentum - 1e-4 * jax.grad(energy)(weights)
        return weights + 1e-2 * momentum, momentum

    return jax.lax.fori_loop(0, steps, turn, (weights, momentum))[0]


chains = tilewright.tile_map(chain)
arguments = (
    rng.normal(size=(32, 22, 40)).astype(np.float32),
    rng.normal(size=(32, 22, 40)).astype(np.float32),
    rng.integers(20, 200, 32).astype(np.int32),
)

exe = tilewright.compile(chains, *arguments)
trips = exe.trips(*arguments)  # of each chain, from one run here
print({name: f"{turns.min():.0f} to {turns.max():.0f}" for name, turns in trips.items()})

epyc = machine("cpu:epyc-9755")
what_if = epyc.with_(cores=16, l2="512 KiB")
machines = ["cpu", "cpu:graviton4", "cpu:epyc-9654", epyc, what_if, "gpu:a100"]
print(tilewright.compare(chains, *arguments, machines=machines, trips=trips))
