"""The peer: the same chain by JAX alone, in one process pinned to one core.

`python -m tilewright.alpha.peer CPU FOLDER` reads the window from FOLDER/window.npz and the sampler
from FOLDER/sampler.json, takes the order of the data that XLA likes better (rows or columns), runs
the chain through `machine="xla"`, and writes speed and draws to FOLDER/peer.npz.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tilewright.alpha.keys import from_data, root_key
from tilewright.alpha.settings import Sampler
from tilewright.frozen import frozen

PROBE = 40
FLAGS = "--xla_cpu_multi_thread_eigen=false"
"""With which XLA keeps to one core."""


@frozen
class Measured:
    """Leapfrog steps a second on one core, and the chain's draws."""

    rate: float
    order: str
    mean: np.ndarray  # (draws, test rows)
    log_density: np.ndarray  # (warm-up + draws,)


class Peer:
    """The process; `wait` gives what it measured."""

    def __init__(self, sampler: Sampler, cpu: int, **window: np.ndarray):
        """`window` is key (data of it), X, y, X_test, df."""
        self._folder = tempfile.TemporaryDirectory(prefix="tilewright-peer-")
        folder = Path(self._folder.name)
        np.savez(folder / "window.npz", allow_pickle=False, **window)
        (folder / "sampler.json").write_text(json.dumps(asdict(sampler)))
        environment = os.environ | {
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": FLAGS,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tilewright.alpha.peer", str(cpu), str(folder)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def wait(self) -> Measured | None:
        """None if the process failed: the job does without a comparison."""
        self._process.wait()
        try:
            with np.load(Path(self._folder.name) / "peer.npz") as file:
                return Measured(
                    float(file["rate"]), str(file["order"]), file["mean"], file["log_density"]
                )
        except (OSError, KeyError, ValueError):
            return None
        finally:
            self._folder.cleanup()

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()


def main() -> None:
    cpu, folder = int(sys.argv[1]), Path(sys.argv[2])
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {cpu})
    import jax

    import tilewright
    from tilewright.alpha.sample import Forecast, sample_posterior
    from tilewright.models import returns

    sampler = Sampler(**json.loads((folder / "sampler.json").read_text()))
    with np.load(folder / "window.npz") as file:
        key, X, y, X_test, df = (file[name] for name in ("key", "X", "y", "X_test", "df"))
    columns = _columns_are_faster(sampler.hidden, X, y, df)

    def keep(X_test: Any, position: returns.Net) -> Forecast:
        return Forecast(returns.predict(position, X_test), returns.noise_scale(position))

    def chain(sampler: Sampler, key: Any, X: Any, y: Any, X_test: Any, df: Any) -> Any:
        kept = partial(keep, X_test)
        return sample_posterior(sampler, from_data(key), X, y, df, kept, columns=columns)

    run = tilewright.compile(partial(chain, sampler), key, X, y, X_test, df, machine="xla")
    start = time.perf_counter()
    draws = run(key, X, y, X_test, df)
    seconds = time.perf_counter() - start
    rate = float(draws.leapfrogs) / seconds
    if sampler.precision != "float32":  # which JAX may only emulate: its best counts
        plain = jax.jit(partial(chain, replace(sampler, precision="float32")))
        leapfrogs = plain(key, X, y, X_test, df).leapfrogs.block_until_ready()
        start = time.perf_counter()
        plain(key, X, y, X_test, df).leapfrogs.block_until_ready()
        rate = max(rate, float(leapfrogs) / (time.perf_counter() - start))
    with (folder / "peer.npz").open("wb") as file:
        np.savez(
            file,
            rate=rate,
            order="columns" if columns else "rows",
            mean=draws.kept.mean,
            log_density=np.concatenate([draws.warm_up, draws.log_density]),
        )


def _columns_are_faster(hidden: int, X: np.ndarray, y: np.ndarray, df: np.ndarray) -> bool:
    """Time a few gradients in both orders."""
    import jax

    from tilewright.models import returns

    start = returns.initial(root_key(0), X.shape[1], hidden)

    def gradients(density: Callable) -> Callable:
        def step(_: int, position: returns.Net) -> returns.Net:
            return jax.tree.map(lambda p, g: p + 1e-6 * g, position, jax.grad(density)(position))

        return jax.jit(lambda p: jax.lax.fori_loop(0, PROBE, step, p))

    def seconds(run: Callable) -> float:
        jax.block_until_ready(run(start))
        begin = time.perf_counter()
        jax.block_until_ready(run(start))
        return time.perf_counter() - begin

    by_rows = gradients(returns.log_density(X, y, df))
    by_columns = gradients(
        returns.log_density(np.ascontiguousarray(X.T), y, df, returns.predict_columns)
    )
    return seconds(by_columns) < seconds(by_rows)


if __name__ == "__main__":
    main()
