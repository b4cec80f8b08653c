"""A machine made of tiles that is not here: is a Markov chain better off on a tile, or on a chip?

Here: Hamiltonian Monte Carlo over the talk's net, a window of data for each chain. A chain alone on
a tile waits for nobody; one that has a chip is done sooner, but there are fewer at once.
"""

import blackjax
import jax
import numpy as np
from rich import print
from rich.table import Table

import tilewright
from tilewright.models import talk


def draw(X, y, key):
    """One draw for a window: 20 leapfrog steps, taken or not."""
    sampler = blackjax.hmc(talk.log_density(X, y), 1e-3, np.ones(talk.PARAMETERS), 20)
    state, info = sampler.step(key, sampler.init(talk.start()))  # type: ignore[call-arg]
    return state.position, info.is_accepted


def planned(machine, chains, rows):
    """Without data, for another machine; `fine`: leaves of sums short enough for all its tiles."""
    shapes = (chains, rows, 22), (chains, rows), (chains, 2)
    kinds = np.float32, np.float32, np.uint32
    specs = [jax.ShapeDtypeStruct(s, k) for s, k in zip(shapes, kinds, strict=True)]
    return tilewright.compile(tilewright.tile_map(draw), *specs, machine=machine, law="fine")


table = Table("machine", "chains", "rows", "a chain a tile", "a chain a chip", "chosen")
for machine, chains, rows in (
    ("ipu:c2", 400, 500),
    ("ipu:m2000", 64, 1000),
    ("ipu:m2000", 5000, 1000),
):
    found = planned(machine, chains, rows).simulate()
    ways = [w if isinstance(w, str) else f"{1e3 * w.seconds:.2f} ms" for w in found.ways.values()]
    table.add_row(machine, str(chains), str(rows), *ways, f"{1e3 * found.seconds:.2f} ms")
print(table)

rng = np.random.default_rng(0)
X = rng.normal(size=(4, 500, 22)).astype(np.float32)
y = rng.normal(size=(4, 500)).astype(np.float32)
keys = np.arange(8, dtype=np.uint32).reshape(4, 2)
nets, taken = planned("ipu:c2", 4, 500)(X, y, keys)  # values are computed here, to the same bits
print(f"{taken.sum()} of {len(taken)} trajectories taken; |W1| = {np.linalg.norm(nets.W1):.3f}")
