"""Compile times in fresh processes: with an empty cache, and again with what that one left.

`python -m tilewright.bench.cold NAME` is such a process: it builds a workload, compiles it by
tilewright or by JAX, runs it once, and prints the seconds of each stage as JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from tilewright.bench.record import Row

BARS = {"hmc": 3.0, "adaptation": 8.0, "b0": 10.0, "step": 30.0, "tiny": None}
TITLES = {
    "hmc": "HMC over the talk's net",
    "adaptation": "NUTS with window adaptation",
    "b0": "B0, 224 px, an image",
    "step": "B0, 224 px, training, batch 16",
    "tiny": "x + 1",
}
CACHED_BAR = 0.3
CACHED_BARS = {"b0": 1.0, "step": 1.0}
"""Of programs with hundreds of supersteps."""
IMPORT_BAR = 0.3
FIRST_BAR = 0.25
IMPORT = "import time; t = time.perf_counter(); import tilewright; print(time.perf_counter() - t)"


def cases(quick: bool) -> Iterable[tuple[str, Callable[[], Sequence[Row]]]]:
    repeats = 1 if quick else 3
    yield "import tilewright", partial(import_time, repeats + 2)
    yield "the first program", partial(first_program, repeats + 2)
    for name in ("hmc", "adaptation") if quick else ("hmc", "adaptation", "b0", "step"):
        yield TITLES[name], partial(run, name, repeats)


def import_time(repeats: int) -> list[Row]:
    times = [float(fresh(["-c", IMPORT], {})) for _ in range(repeats)]
    name = "import tilewright"
    seconds = statistics.median(times)
    return [Row("compile", name, seconds, "s", bar=IMPORT_BAR, at_most=True)]


def first_program(repeats: int) -> list[Row]:
    """What the first program of a process that has used JAX takes longer than another one."""
    times = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            module = ["-m", "tilewright.bench.cold", "first"]
            times.append(float(fresh(module, {"TILEWRIGHT_CACHE": folder})))
    name = "what the first program of a process adds"
    return [Row("compile", name, statistics.median(times), "s", bar=FIRST_BAR, at_most=True)]


def run(name: str, repeats: int) -> list[Row]:
    """Medians over fresh processes: cold, then from the cache, and JAX beside them."""
    cold, cached, jax = [], [], []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            module = ["-m", "tilewright.bench.cold", name]
            cold.append(json.loads(fresh(module, {"TILEWRIGHT_CACHE": folder})))
            cached.append(json.loads(fresh(module, {"TILEWRIGHT_CACHE": folder})))
            jax.append(json.loads(fresh([*module, "jax"], {})))

    def middle(times: list[dict[str, float]], *stages: str) -> float:
        return statistics.median(sum(t[stage] for stage in stages) for t in times)

    stages = f"trace {middle(cold, 'trace'):.2f} s, the rest {middle(cold, 'compile'):.2f} s"
    both = ("trace", "compile")
    return [
        Row(
            "compile",
            f"{TITLES[name]}, cold",
            middle(cold, *both),
            "s",
            middle(jax, *both),
            "jax.jit",
            bar=BARS[name],
            at_most=True,
            notes=stages,
            more={"cold": cold, "jax": jax},
        ),
        Row(
            "compile",
            f"{TITLES[name]}, from the cache, after tracing",
            middle(cached, "compile"),
            "s",
            bar=CACHED_BARS.get(name, CACHED_BAR),
            at_most=True,
            notes=f"trace {middle(cached, 'trace'):.2f} s",
            more={"cached": cached},
        ),
    ]


def fresh(arguments: list[str], variables: dict[str, str]) -> str:
    """What such a process prints."""
    environment = os.environ | {"JAX_PLATFORMS": "cpu"} | variables
    return subprocess.run(
        [sys.executable, *arguments], env=environment, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


# What the fresh process does.


def main(name: str, by: str = "tilewright") -> None:
    if name == "first":
        print(_added_by_the_first())
        return
    function, arguments = _program(name)
    times = (_by_jax if by == "jax" else _by_tilewright)(function, arguments)
    print(json.dumps(times))


def _program(name: str) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    import jax
    import jax.numpy as jnp

    from tilewright import tile_map

    if name == "tiny":
        return lambda x: x + 1, (jnp.zeros(3),)
    if name == "hmc":
        from tilewright.bench.hmc import CASES

        workload = CASES[0].spec.workload()
        return tile_map(workload.chain), workload.arguments
    if name in ("b0", "step"):
        return _net(training=name == "step")
    return tile_map(_adapted_chain()), (jax.random.split(jax.random.key(0), 4),)


def _net(training: bool) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """B0's answer for an image, or a step of it for a batch."""
    from tilewright.bench.image_steps import TRAINED, step_of
    from tilewright.bench.images import net_of, start, synthetic
    from tilewright.vision.nets import module

    net = net_of("B0", 224)
    of, batch = module(net), TRAINED if training else 1
    held, images = start(of, net), synthetic(batch, net.size)
    return step_of(of, net, batch) if training else partial(of.predict, net), (*held, images)


def _adapted_chain() -> Callable[[Any], Any]:
    """Warm-up and draws of the logistic regression."""
    import blackjax
    import jax
    import jax.numpy as jnp

    from tilewright.bench.nuts_workloads import Nuts, _logistic
    from tilewright.bench.workloads import draws

    density, positions, _ = _logistic(Nuts("logistic", chains=1))

    def chain(key: Any) -> Any:
        warm_up, sample = jax.random.split(key)
        adaptation = blackjax.window_adaptation(blackjax.nuts, density)
        warm: Any = adaptation.run
        (state, parameters), _ = warm(warm_up, jnp.asarray(positions[0]), 100)
        return draws(blackjax.nuts(density, **parameters), state.position, sample, 20)

    return chain


def _added_by_the_first() -> float:
    """Seconds of imports and of the first program, over those of a second one like it."""
    import jax
    import numpy as np

    array = np.ones(16, np.float32)
    jax.block_until_ready(jax.jit(lambda x: jax.numpy.tanh(x) - 1)(array))
    start = time.perf_counter()
    import tilewright

    tilewright.compile(lambda x: 3 * x + 1, array)(array)
    middle = time.perf_counter()
    tilewright.compile(lambda x: 5 * x - 2, array)(array)
    return 2 * middle - start - time.perf_counter()


def _by_tilewright(function: Callable[..., Any], arguments: tuple[Any, ...]) -> dict[str, float]:
    """`compile` with a clock around its tracing; no result may be used before it has run once."""
    from tilewright import compiler
    from tilewright import trace as tracing

    traced = tracing.trace
    times: dict[str, float] = {}

    def clocked(*args: Any, **named: Any) -> Any:
        start = time.perf_counter()
        result = traced(*args, **named)
        times["trace"] = time.perf_counter() - start
        return result

    tracing.trace = clocked  # compile() looks it up when it is called
    start = time.perf_counter()
    executable = compiler.compile(function, *arguments)
    times["compile"] = time.perf_counter() - start - times["trace"]
    executable(*arguments)
    return times


def _by_jax(function: Callable[..., Any], arguments: tuple[Any, ...]) -> dict[str, float]:
    import jax

    start = time.perf_counter()
    lowered = jax.jit(function).lower(*arguments)
    middle = time.perf_counter()
    compiled = lowered.compile()
    end = time.perf_counter()
    jax.block_until_ready(compiled(*arguments))
    return {"trace": middle - start, "compile": end - middle}


if __name__ == "__main__":
    main(*sys.argv[1:])
