"""A step of training as one compiled program: gradients, and what the optimiser makes of them.

In: a `State`, images in 8 bits, soft targets, a weight an image. Out: the next state, in the place
of the last, and the loss.

With frozen norms images do not see each other: gradients are added up group by group, each group
whole on one core (`tile_map`), so many of its images at once as a micro batch has, and groups are
added in a fixed order. So bits depend neither on the
number of cores nor on which core does what.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from tilewright.vision import nets
from tilewright.vision.model import Model
from tilewright.vision.settings import ADAMW, BFLOAT16, HEAD, RATES, WHOLE, Training

GROUPS = 8
"""Of a batch at most; fixed, as bits depend on it."""
NATIVE = "native"
"""This host."""


class State(NamedTuple):
    """What a step takes and gives: weights that are trained, the optimiser's, the mean of what
    moves (`Step._moving`), and the statistics of norms."""

    weights: tuple[Any, ...]
    optimiser: Any
    mean: tuple[Any, ...]
    kept: Any


class Step:
    """The steps of one run of so many."""

    def __init__(self, model: Model, settings: Training, steps: int, machine: str = NATIVE):
        self.model, self.settings, self.steps, self.machine = model, settings, steps, machine
        self._programs: dict[int, Any] = {}
        self._state, self._at = self.start(), 0

    @cached_property
    def _trained(self) -> list[bool]:
        """Of each leaf of the weights: whether this stage trains it."""
        import jax

        return jax.tree.leaves(trained(self.model, self.settings))

    def start(self) -> State:
        import jax

        leaves = jax.tree.leaves(self.model.weights)
        chosen = tuple(
            np.asarray(leaf, np.float32)
            for leaf, is_trained in zip(leaves, self._trained, strict=True)
            if is_trained
        )
        optimiser = jax.tree.map(np.asarray, self._rule.init(chosen))
        mean = self._moving(chosen, self.model.kept) if self.settings.ema else ()
        return State(chosen, optimiser, mean, self.model.kept)

    def _moving(self, weights: Sequence[Any], kept: Any) -> tuple[Any, ...]:
        """What a mean is kept of: statistics of norms, too, where they move, as they are those of
        layers of other weights otherwise."""
        import jax

        return (*weights, *(() if self.settings.frozen_norms else jax.tree.leaves(kept)))

    def _fixed(self) -> tuple[Any, ...]:
        import jax

        leaves = jax.tree.leaves(self.model.weights)
        return tuple(x for x, t in zip(leaves, self._trained, strict=True) if not t)

    def _joined(self, chosen: Sequence[Any], fixed: Sequence[Any]) -> Any:
        """All weights again."""
        import jax

        one, other = iter(chosen), iter(fixed)
        leaves = [next(one if is_trained else other) for is_trained in self._trained]
        return jax.tree.unflatten(jax.tree.structure(self.model.weights), leaves)

    def finished(self, state: State) -> Model:
        import jax

        chosen, kept, count = state.weights, state.kept, len(state.weights)
        if self.settings.ema:
            chosen, statistics = state.mean[:count], state.mean[count:]
            kept = jax.tree.unflatten(jax.tree.structure(kept), statistics) if statistics else kept
        weights = jax.tree.map(np.asarray, self._joined(chosen, self._fixed()))
        return replace(self.model, weights=weights, kept=jax.tree.map(np.asarray, kept))

    @cached_property
    def _rule(self) -> Any:
        """Of optax: how gradients move weights. Decay is of kernels alone."""
        import optax

        own, steps = self.settings, self.steps
        rate = RATES[own.optimiser] if own.rate is None else own.rate
        warm = min(steps - 1, round(own.warmup * steps))
        schedule = optax.warmup_cosine_decay_schedule(0.0 if warm else rate, rate, warm, steps)

        def kernels(leaves: Any) -> Any:
            return tuple(leaf.ndim > 1 for leaf in leaves)

        if own.optimiser == ADAMW:
            return optax.adamw(schedule, weight_decay=own.decay, mask=kernels)
        decay = optax.add_decayed_weights(own.decay, mask=kernels)
        return optax.chain(decay, optax.sgd(schedule, momentum=0.9, nesterov=True))

    @property
    def state(self) -> State:
        """What the next step begins with: a copy of what a program keeps."""
        return self._programs[self._at].state if self._keeps else self._state

    @state.setter
    def state(self, state: State) -> None:
        self._state, self._at = state, 0

    @property
    def _keeps(self) -> bool:
        """Whether the state is in a program."""
        return self._at in self._programs and self.machine == NATIVE

    def take(self, images: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> float:
        """A step; its loss. On this host the state is overwritten where it lies."""
        size = images.shape[1]
        program = self.program(size)
        if self.machine != NATIVE:
            self._state, loss = program(self._state, images, targets, weights)
            return float(loss)
        if size != self._at:
            program.state, self._at = self.state, size
        return float(program(images, targets, weights))

    def program(self, size: int) -> Any:
        """The step for images of a size, with what is not trained bound to it, and on this host
        its state kept."""
        if size not in self._programs:
            import jax

            import tilewright

            batch, count = self.settings.batch, self.model.net.classes
            given = (
                jax.ShapeDtypeStruct((batch, size, size, 3), np.uint8),
                jax.ShapeDtypeStruct((batch, count), np.float32),
                jax.ShapeDtypeStruct((batch,), np.float32),
            )
            half = self.settings.precision == BFLOAT16
            with jax.default_matmul_precision("bfloat16") if half else nullcontext():
                step = tilewright.compile(
                    self._step, self._fixed(), self.start(), *given, machine=self.machine,
                    law="pairs" if half else None,
                    state="state" if self.machine == NATIVE else None,
                )  # fmt: skip
            self._programs[size] = step.bind(self._fixed())
        return self._programs[size]

    def _step(self, fixed: Any, state: State, images: Any, targets: Any, weights: Any) -> Any:
        import jax.numpy as jnp
        import optax

        weights = weights / jnp.sum(weights)
        batched = self._of_groups if self.settings.frozen_norms else self._of_batch
        loss, gradient, kept = batched(fixed, state, images, targets, weights)
        updates, optimiser = self._rule.update(gradient, state.optimiser, state.weights)
        moved: Any = optax.apply_updates(state.weights, updates)
        decay = self.settings.ema
        pairs = zip(state.mean, self._moving(moved, kept), strict=True) if decay else ()
        mean = tuple(decay * old + (1 - decay) * new for old, new in pairs)
        return State(moved, optimiser, mean, kept), loss  # type: ignore[arg-type]

    def _loss(
        self, chosen: Any, fixed: Any, kept: Any, images: Any, targets: Any, weights: Any
    ) -> Any:
        """Weighted cross entropy summed over images, and statistics of norms after them."""
        import jax
        import jax.numpy as jnp

        net = self.model.net
        net = nets.halved(net) if self.settings.precision == BFLOAT16 else net
        functions, given = nets.module(net), self.model.preprocessing.normalised(images)
        joined = self._joined(chosen, fixed)
        if self.settings.frozen_norms:
            logits = functions.predict(net, joined, kept, given)
        else:
            logits, kept = functions.train(net, joined, kept, given)
        entropy = -jnp.sum(targets * jax.nn.log_softmax(logits), axis=1)
        return jnp.sum(weights * entropy), kept

    def _of_batch(
        self, fixed: Any, state: State, images: Any, targets: Any, weights: Any
    ) -> tuple[Any, Any, Any]:
        """Images see each other in the norms: all at once."""
        import jax

        step = jax.value_and_grad(self._loss, has_aux=True)
        (loss, kept), gradient = step(state.weights, fixed, state.kept, images, targets, weights)
        return loss, gradient, kept

    def _of_groups(
        self, fixed: Any, state: State, images: Any, targets: Any, weights: Any
    ) -> tuple[Any, Any, Any]:
        """One micro batch after the other, the sums of a group on one core."""
        import jax
        import jax.numpy as jnp

        import tilewright

        at_once = self.settings.micro_batch or 1
        count = self.settings.batch // at_once
        groups = max(n for n in range(1, min(GROUPS, count) + 1) if count % n == 0)

        def group(chosen: Any, fixed: Any, kept: Any, *given: Any) -> Any:
            def some(sums: Any, one: Any) -> Any:
                step = jax.value_and_grad(self._loss, has_aux=True)
                (loss, _), gradient = step(chosen, fixed, kept, *one)
                return jax.tree.map(jnp.add, sums, (loss, gradient)), None

            zero = jnp.float32(0), jax.tree.map(jnp.zeros_like, chosen)
            return jax.lax.scan(some, zero, given)[0]

        parts = [x.reshape(groups, -1, at_once, *x.shape[1:]) for x in (images, targets, weights)]
        mapped = tilewright.tile_map(group, in_axes=(None, None, None, 0, 0, 0))
        loss, gradient = jax.tree.map(
            lambda sums: jnp.sum(sums, 0), mapped(state.weights, fixed, state.kept, *parts)
        )
        return loss, gradient, state.kept


def trained(model: Model, settings: Training) -> Any:
    """A tree like the weights': whether the stage trains a leaf."""
    import jax

    from tilewright.models.convolutional import Normed

    weights = model.weights
    every = settings.stage == WHOLE
    first = 0 if every else len(weights.blocks) - settings.blocks
    deep = settings.stage != HEAD
    frozen = settings.frozen_norms

    def mark(part: Any, on: bool) -> Any:
        def leaves(one: Any) -> Any:
            if isinstance(one, Normed):
                return Normed(on, on and not frozen, on and not frozen)
            return on

        return jax.tree.map(leaves, part, is_leaf=lambda one: isinstance(one, Normed))

    marks = {"stem": mark(weights.stem, every), "classes": mark(weights.classes, True)}
    marks["blocks"] = tuple(
        mark(block, deep and number >= first) for number, block in enumerate(weights.blocks)
    )
    if hasattr(weights, "head"):
        marks["head"] = mark(weights.head, deep)
    return type(weights)(**marks)
