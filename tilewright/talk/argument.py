"""The talk's argument, tested: each thing that it says frees these models, with it and without.

With and without are both ours, by turns in one run, so that nothing else differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from tilewright.bench import precision
from tilewright.bench.gpu import clocked
from tilewright.bench.nuts_workloads import Nuts
from tilewright.bench.rounds import compare
from tilewright.bench.workloads import TALK, Hmc
from tilewright.errors import ArgumentError
from tilewright.talk.figures import Point, measured
from tilewright.talk.record import Outcome

ROUNDS = 7
Timed = Callable[[], float]


def independent_cores() -> dict[str, Timed]:
    """NUTS chains of unequal length, each whole on a core, or all in lockstep."""
    import jax

    import tilewright

    workload = Nuts("logistic", chains=32, draws=20).workload()
    mapped = tilewright.compile(tilewright.tile_map(workload.chain), *workload.arguments)
    lockstep = tilewright.compile(jax.vmap(workload.chain), *workload.arguments)
    return {
        "each chain a program of its own": clocked(partial(mapped, *workload.arguments)),
        "all chains in lockstep": clocked(partial(lockstep, *workload.arguments)),
    }


def near_memory() -> dict[str, Timed]:
    """HMC over 5,000 rows, in strips that stay in a core's memory, or array after array.

    The second program is compiled without the rewrite that makes strips. It has a result more, so
    that it is another program for the cache, too.
    """
    import tilewright

    workload = Hmc(TALK, 5000, 1, 100, chains=1).workload()
    arguments = workload.arguments

    def marked(*slices: Any) -> Any:
        return workload.chain(*slices), np.int32(0)

    strips = tilewright.compile(tilewright.tile_map(workload.chain), *arguments)
    with _without_strips():
        whole = tilewright.compile(tilewright.tile_map(marked), *arguments)
    return {
        "strips of rows, from inputs to sums": clocked(partial(strips, *arguments)),
        "whole arrays, one after the other": clocked(partial(whole, *arguments)),
    }


@contextmanager
def _without_strips() -> Iterator[None]:
    """Programs are compiled without that one rewrite."""
    from tilewright import compiler
    from tilewright.stages import HALVES, make_strips

    stages = compiler.Stages
    rest = tuple(rewrite for rewrite in HALVES if rewrite is not make_strips)

    def without(*arguments: Any, **named: Any) -> Any:
        return stages(*arguments, **named, **({"then": rest} if len(arguments) < 4 else {}))

    compiler.Stages = without  # type: ignore[misc]
    try:
        yield
    finally:
        compiler.Stages = stages


def static_graph() -> dict[str, Timed]:
    """The talk's gradient at 250 rows: one program, or a call of a program for each operation."""
    import jax

    import tilewright
    from tilewright.bench.workloads import initial, log_density

    density = log_density(Hmc(TALK, 250, 1, 1))
    params = initial(TALK)
    gradient = jax.grad(density)
    one = tilewright.compile(gradient, params)
    return {
        "one program": clocked(partial(one, params)),
        "a call for each operation": clocked(partial(one_by_one(gradient, params), params)),
    }


def low_precision() -> dict[str, Timed]:
    """The talk's LSTM on one sequence, in bytes and in float32."""
    contenders = precision.ours(precision.drawn(), 1)
    data = precision.windows(1)
    names = {"int8x8": "8-bit weights and activations", "float32": "float32"}
    return {names[p]: clocked(partial(contenders[p], data)) for p in names}


def reused_weights(batch: int = 64) -> dict[str, Timed]:
    """The talk's LSTM on 64 sequences: all at once, or one after the other."""
    data, model = precision.windows(batch), precision.drawn()
    together, alone = (model.window(size, precision.STEPS, tiles=1) for size in (batch, 1))

    def one_after_another() -> None:
        for i in range(batch):
            alone(data[i : i + 1])

    return {
        f"{batch} sequences share the weights": clocked(partial(together, data)),
        "one sequence after the other": clocked(one_after_another),
    }


def sparsity(density: float = 0.25) -> dict[str, Timed]:
    """The talk's LSTM on one sequence, whose matrices have lost three blocks of four: what is gone
    is skipped, or multiplied like the rest. Both hold the same weights, and give the same bits."""
    from tilewright.bench.blocks import thinned

    model, data = thinned(precision.drawn(), density), precision.windows(1)
    skipping = model.window(1, precision.STEPS, tiles=1)
    with _without_blocks():
        whole = model.window(1, precision.STEPS, tiles=1)
    return {
        "blocks of zeros are skipped": clocked(partial(skipping, data)),
        "zeros are multiplied": clocked(partial(whole, data)),
    }


@contextmanager
def _without_blocks() -> Iterator[None]:
    """Programs are completed without a look at the zeros of their weights."""
    from tilewright import compilation

    looked = compilation.thin_lines
    compilation.thin_lines = lambda arrays: {}
    try:
        yield
    finally:
        compilation.thin_lines = looked


SWITCHES: dict[str, Callable[[], dict[str, Timed]]] = {
    "independent cores": independent_cores,
    "data in the core's memory": near_memory,
    "a static graph": static_graph,
    "low precision": low_precision,
    "parameters used again": reused_weights,
    "sparsity": sparsity,
}
"""What the talk names, in its order of appearance here; each gives with it first, then without."""


def run(name: str) -> Outcome:
    """Both ways by turns. Raises `ArgumentError` for what is not a switch."""
    if name not in SWITCHES:
        raise ArgumentError(f"There is no switch {name!r}; there are {', '.join(SWITCHES)}.")
    ways = SWITCHES[name]()
    found = compare(ways, ROUNDS, keep=tuple(ways))
    points = (
        Point(name, who, measured(f"argument: {name}", found.seconds[who], "ms")) for who in ways
    )
    return Outcome("argument", tuple(points))


def one_by_one(fn: Callable, *examples: Any) -> Callable[..., list[Any]]:
    """`fn` as a list of programs, one an operation; results are its leaves.

    In: what `jax.make_jaxpr` shows of it. Programs of equal operations are shared.
    """
    import jax

    import tilewright

    closed = jax.make_jaxpr(fn)(*examples)
    programs: dict[Any, Any] = {}
    plan = []
    for equation in closed.jaxpr.eqns:
        bind = partial(_bind, equation)
        shapes = tuple(jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in equation.invars)
        key = (equation.primitive.name, str(equation.params), str(shapes))
        if key not in programs:
            programs[key] = tilewright.compile(bind, *shapes, tiles=1)
        plan.append((equation, programs[key]))

    def run(*arguments: Any) -> list[Any]:
        leaves = jax.tree.leaves(arguments)
        values = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
        values |= dict(zip(closed.jaxpr.invars, leaves, strict=True))

        def read(v: Any) -> Any:
            return np.asarray(v.val) if hasattr(v, "val") else values[v]

        for equation, program in plan:
            results = program(*map(read, equation.invars))
            results = results if equation.primitive.multiple_results else [results]
            values |= dict(zip(equation.outvars, results, strict=True))
        return [read(v) for v in closed.jaxpr.outvars]

    return run


def _bind(equation: Any, *values: Any) -> Any:
    return equation.primitive.bind(*values, **equation.params)
