"""The talk's workloads on machines that are not here: planned for each, counted, never run.

A figure is what the model of the machine gives, in float32; what the model errs by, where others
published what such a machine took, stands beside it. A machine that is missing from a case lacks
the memory for it as it is planned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from tilewright.bench.groups import Layer
from tilewright.errors import CapacityError
from tilewright.talk import groups
from tilewright.talk import images as photographs
from tilewright.talk.claims import WHOLE
from tilewright.talk.figures import MODELLED, Figure, Point
from tilewright.talk.record import Outcome

MACHINES = ("ipu:c2", "ipu:gc200", "ipu:m2000", "ipu:pod64", "tt:n150", "tt:p150")
ERRORS = {
    "ipu": "on others' programs: -6 % to +7 % on a chip, -18 % to +3 % on several",
    "tt": "on others' products: -8 % to +10 %; functions and waits are assumed",
}
"""By kind: (modelled - published) / published of whole programs, `fidelity/README.md`."""
ROWS, BATCHES, IMAGES = (1_000, 58_368), (1, 64, 1024), (1, 8, 32)
ALONE = ("ipu:c2", "ipu:gc200", "tt:n150", "tt:p150")
"""Those of one chip: a step of training is not cut over several here, which takes too long."""
UNITS = {"s": 1.0, "ms": 1e3, "µs": 1e6}
"""In a second."""
INSTANCES, STEPS, LEAPFROGS = 400, 500, 1000
"""200 windows of two chains; draws and burn-in; leapfrogs of each."""


def hmc() -> Outcome:
    """Seconds of the whole job. What leaves a machine is each chain's last draw and its rates."""
    return Outcome("modelled", tuple(p for rows in ROWS for p in _points(*_hmc(rows), law="fine")))


def lstm() -> Outcome:
    return Outcome("modelled", tuple(p for size in BATCHES for p in _points(*_lstm(size))))


def images(batch: int) -> Outcome:
    return Outcome("modelled", tuple(_points(*_images(batch))))


def training() -> Outcome:
    """A step with one image, as the memory of one chip is small for what is kept of each."""
    return Outcome("modelled", tuple(_points(*_step(), machines=ALONE)))


def layers() -> Outcome:
    """The layer of `groups`, which is one chip's."""
    found = (p for layer in groups.LAYERS for p in _points(*_layer(layer), machines=ALONE))
    return Outcome("modelled", tuple(found))


def _points(
    case: str, work: float, unit: str, fn: Callable[..., Any], specs: tuple,
    law: str | None = None, machines: Sequence[str] = MACHINES,
) -> Iterator[Point]:  # fmt: skip
    """`work` a run: figures are rates of it, or times where it is 0."""
    import tilewright

    for name in machines:
        try:
            found = tilewright.compile(fn, *specs, machine=name, law=law).simulate()
        except CapacityError:
            continue
        value = work / found.seconds if work else found.seconds * UNITS[unit]
        kind = found.run.machine.kind
        figure = Figure(value, unit, MODELLED, f"a model of the machine; its error {ERRORS[kind]}")
        more = {"limit": found.run.limit, "tiles busy": found.run.busy}
        if law:
            more["law of sums"] = law
        yield Point(case, found.run.machine.name, figure, more)


def _hmc(rows: int) -> tuple[str, float, str, Callable[..., Any], tuple]:
    import blackjax
    import jax

    import tilewright
    from tilewright.models import talk

    def chain(X: Any, y: Any, keys: Any) -> Any:
        sampler = blackjax.hmc(
            talk.log_density(X, y), 0.01, np.ones(talk.PARAMETERS, np.float32), LEAPFROGS
        )

        def step(state: Any, key: Any) -> Any:
            state, info = sampler.step(key, state)
            return state, info.is_accepted

        first = sampler.init(talk.start())  # type: ignore[call-arg]
        last, taken = jax.lax.scan(step, first, keys)
        return last.position, taken

    shapes = ((rows, 22), np.float32), ((rows,), np.float32), ((STEPS, 2), np.uint32)
    specs = tuple(jax.ShapeDtypeStruct((INSTANCES, *shape), dtype) for shape, dtype in shapes)
    return f"{WHOLE}, {rows:,} rows", 0, "s", tilewright.tile_map(chain), specs


def _lstm(batch: int) -> tuple[str, float, str, Callable[..., Any], tuple]:
    import jax

    from tilewright.bench import precision as bench
    from tilewright.models import recurrent

    model = bench.drawn()
    spec = jax.ShapeDtypeStruct((batch, bench.STEPS, bench.INPUTS), np.float32)
    answer = partial(recurrent.window, model.net, model.weights)
    return f"LSTM, batch {batch}", 0, "ms", lambda xs: answer(xs), (spec,)


def _images(batch: int) -> tuple[str, float, str, Callable[..., Any], tuple]:
    import jax

    from tilewright.models import efficientnet

    net = efficientnet.named("b0")
    held = jax.eval_shape(lambda: efficientnet.start(net, jax.random.key(0)))
    spec = jax.ShapeDtypeStruct((batch, 224, 224, 3), np.float32)
    answer = partial(efficientnet.predict, net)
    return f"B0, batch {batch}", batch, "images/s", lambda *args: answer(*args), (*held, spec)


def _step() -> tuple[str, float, str, Callable[..., Any], tuple]:
    import jax

    from tilewright.bench import image_steps
    from tilewright.vision import nets

    net = image_steps.net_of("B0", photographs.SIZE)
    module = nets.module(net)
    held = jax.eval_shape(lambda: image_steps.start(module, net))
    spec = jax.ShapeDtypeStruct((1, net.size, net.size, 3), np.float32)
    return "B0, training", 1, "images/s", image_steps.step_of(module, net, 1), (*held, spec)


def _layer(layer: Layer) -> tuple[str, float, str, Callable[..., Any], tuple]:
    import jax

    specs = tuple(jax.ShapeDtypeStruct(shape, np.float32) for shape in layer.shapes)
    return f"3×3, {layer.name}", 0, "µs", layer.convolved, specs
