"""The talk's own job as a speed workload: one window measured, two hundred extrapolated.

In: a number of rows. Out: `Speed`. Data are synthetic, the settings those of `models.talk`; nothing
here is a forecast. Each chain (one a core, two at least) starts at 0 with step size 0.01 and takes
trajectories of 1000 leapfrog steps: 100 of burn-in, which adapt the step size, then 400 draws. As
many of them are run as fit into the seconds given, and leapfrog steps are all alike.

`python -m tilewright.alpha.talk CPU ROWS LEAPFROGS` is the peer: JAX in one process pinned to one
core; it prints the leapfrog steps a second in the better of both data orders.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tilewright.alpha.errors import AlphaError
from tilewright.alpha.keys import chain_keys, root_key
from tilewright.frozen import frozen

ROWS, LEAPFROGS, BURN_IN, DRAWS, CHAINS, WINDOWS = 58_368, 1000, 100, 400, 2, 200
STEP_SIZE = 0.01
TOTAL = WINDOWS * CHAINS * (BURN_IN + DRAWS) * LEAPFROGS


@frozen
class Speed:
    """Rates are leapfrog steps a second on the whole machine; 0 where not measured."""

    rows: int
    cores: int
    rate: float
    jax_rate: float
    seconds: float  # measured part
    transitions: int  # of each chain, in the measured part
    acceptance: float
    precision: str

    @property
    def whole(self) -> float:
        """Seconds for 200 windows of 800 draws, extrapolated."""
        return TOTAL / self.rate


def window(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Features (rows, 22) times 0.001, and heavy-tailed targets (rows,) in basis points."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, 22)) * 10.0 ** rng.uniform(0, 3, size=22)
    return (0.001 * X).astype(np.float32), (100 * rng.standard_t(3, rows)).astype(np.float32)


def chain(
    precision: str, columns: bool, key: Any, X: Any, y: Any, transitions: Any, leapfrogs: Any
) -> Any:
    """Mean acceptance, last step size and last log density of some burn-in transitions."""
    import blackjax
    import jax
    import jax.numpy as jnp

    from tilewright.models import talk

    density = talk.log_density(X, y, talk.predict_columns if columns else talk.predict)
    if precision != "float32":
        from tilewright import force

        density = force(density, precision)
    kernel = blackjax.hmc.build_kernel()

    def turn(number: Any, carry: Any) -> Any:
        state, size, total = carry
        state, info = kernel(
            jax.random.fold_in(key, number), state, density, size, metric, leapfrogs
        )
        return state, talk.adapted(size, info.acceptance_rate), total + info.acceptance_rate

    metric = jnp.ones(talk.PARAMETERS)
    opening = blackjax.hmc.init(talk.start(), density), jnp.asarray(STEP_SIZE), jnp.asarray(0.0)
    state, size, total = jax.lax.fori_loop(0, transitions, turn, opening)
    return total / transitions, size, state.logdensity


def measure(
    rows: int = ROWS,
    seconds: float = 20.0,
    precision: str = "float32",
    machine: str = "native",
    peer: bool = True,
    stage: Callable[[str], None] = lambda _: None,
) -> Speed:
    """Run as many transitions of two chains as fit into `seconds`; at least one."""

    import tilewright
    from tilewright.machine.cpu import allowed_cpus, cpu_limit

    if rows < 1:
        raise AlphaError(f"rows must be 1 or more, not {rows}.")
    cores = cpu_limit()
    jax_rate = 0.0
    if peer:
        stage("measuring JAX, pinned to one core")
        jax_rate = cores * _peer_rate(max(allowed_cpus()), rows)
    stage("compiling")
    X, y = window(rows)
    keys = chain_keys(0, max(CHAINS, cores))
    mapped = tilewright.tile_map(partial(chain, precision, False), (0, None, None, None, None))
    one = np.int32(1)
    execute = tilewright.compile(mapped, keys, X, y, one, one, machine=machine)
    stage("a first trajectory")
    short = np.int32(max(1, min(LEAPFROGS, 2_000_000 // rows)))
    estimate = _seconds(execute, keys, X, y, one, short)[0] / short * LEAPFROGS
    transitions = int(np.clip(seconds / estimate, 1, BURN_IN + DRAWS))
    stage(f"{transitions} trajectories of {LEAPFROGS} steps a chain")
    spent, (acceptance, _, _) = _seconds(
        execute, keys, X, y, np.int32(transitions), np.int32(LEAPFROGS)
    )
    rate = len(keys) * transitions * LEAPFROGS / spent
    return Speed(
        rows, cores, rate, jax_rate, spent, transitions, float(np.mean(acceptance)), precision
    )


def _seconds(execute: Callable, *arguments: Any) -> tuple[float, Any]:
    start = time.perf_counter()
    result = execute(*arguments)
    return time.perf_counter() - start, result


def _peer_rate(cpu: int, rows: int) -> float:
    """Leapfrog steps a second of one pinned JAX process; 0 if it fails."""
    leapfrogs = max(10, min(1000, 2_000_000 // rows))
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    }
    command = [sys.executable, "-m", "tilewright.alpha.talk", *map(str, (cpu, rows, leapfrogs))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    try:
        return float(done.stdout)
    except ValueError:
        return 0.0


def main() -> None:
    cpu, rows, leapfrogs = (int(word) for word in sys.argv[1:4])
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {cpu})
    import jax

    X, y = window(rows)
    best = 0.0
    for columns in (False, True):
        data = np.ascontiguousarray(X.T) if columns else X
        run = jax.jit(partial(chain, "float32", columns, root_key(0), data, y))
        run(1, 1)[0].block_until_ready()
        seconds, _ = _seconds(lambda run=run: run(1, leapfrogs)[0].block_until_ready())
        best = max(best, leapfrogs / seconds)
    print(best)


if __name__ == "__main__":
    main()
