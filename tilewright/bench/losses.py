"""Whether a net that learns here loses as PyTorch's does, over 200 steps on equal batches.

Both begin with the same weights and descend along plain gradients of batches' own norms. What their
losses differ by is held against what PyTorch's own differ by from seed to seed of the weights, as
root mean squares over steps, of means of `SMOOTH` losses each: rounding alone parts two runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from tilewright.bench.image_peers import torch_here, torch_net
from tilewright.bench.images import net_of, start
from tilewright.bench.record import Row
from tilewright.vision import nets
from tilewright.vision.datasets import shapes
from tilewright.vision.from_torch import TO_TORCH

STEPS, BATCH, SIZE, RATE = 200, 16, 64, 0.005
SEEDS = 4
"""Of PyTorch's runs, the first of which begins as ours does."""
SMOOTH = 20


def cases(quick: bool) -> Iterable[tuple[str, Callable[[], Sequence[Row]]]]:
    steps = 2 * SMOOTH if quick else STEPS
    yield "B0, losses", partial(run, net_of("B0", 32 if quick else SIZE), steps, BATCH)


def run(net: Any, steps: int, batch: int) -> list[Row]:
    """None where PyTorch is not installed."""
    torch = torch_here()
    if torch is None:
        return []
    net = replace(net, classes=3)
    batches = _batches(net.size, steps, batch)
    ours, *theirs = _ours(net, batches), *(_theirs(torch, net, batches, s) for s in range(SEEDS))
    apart = _distance(ours, theirs[0])
    seeds = [_distance(a, b) for i, a in enumerate(theirs) for b in theirs[:i]]
    return [
        Row(
            "losses", f"B0, {net.size} px, {steps} steps: apart from PyTorch's, of its seeds'",
            apart / float(np.mean(seeds)), "×", bar=1.0, at_most=True,
            notes=f"losses at the end: {ours[-SMOOTH:].mean():.3f}, PyTorch's "
            + " ".join(f"{each[-SMOOTH:].mean():.3f}" for each in theirs),
            more={"ours": ours.tolist(), "PyTorch": [each.tolist() for each in theirs]},
        )
    ]  # fmt: skip


def _batches(size: int, steps: int, batch: int) -> Sequence[tuple[np.ndarray, np.ndarray]]:
    """Images (batch, size, size, 3) from -1 to 1, and classes by number."""
    made = shapes(8 * batch, size)
    images = np.stack([np.asarray(item) for item in made.items]).astype(np.float32) / 127.5 - 1
    _, classes = np.unique(made.labels, return_inverse=True)
    random = np.random.default_rng(0)
    chosen = [random.choice(len(images), batch, replace=False) for _ in range(steps)]
    return [(images[some], classes[some].astype(np.int32)) for some in chosen]


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    """Root mean square of what two runs' smooth losses differ by."""
    smooth = np.convolve(one - other, np.ones(SMOOTH) / SMOOTH, "valid")
    return float(np.sqrt(np.mean(smooth**2)))


def _ours(net: Any, batches: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    import jax
    import jax.numpy as jnp

    import tilewright

    module = nets.module(net)

    def loss(weights: Any, kept: Any, images: Any, classes: Any) -> Any:
        logits, kept = module.train(net, weights, kept, images)
        chosen = jax.nn.log_softmax(logits)[jnp.arange(len(classes)), classes]
        return -jnp.mean(chosen), kept

    def step(weights: Any, kept: Any, images: Any, classes: Any) -> Any:
        (found, kept), gradients = jax.value_and_grad(loss, has_aux=True)(
            weights, kept, images, classes
        )
        return jax.tree.map(lambda w, g: w - RATE * g, weights, gradients), kept, found

    held = start(module, net)
    program = tilewright.compile(step, *held, *batches[0], state=("weights", "kept"))
    return np.array([float(program(*batch)) for batch in batches])


def _theirs(
    torch: Any, net: Any, batches: Sequence[tuple[np.ndarray, np.ndarray]], seed: int
) -> np.ndarray:
    """With our weights where the seed is 0."""
    torch.manual_seed(seed)
    module = torch_net(torch, net, folded=False).train()
    own = module.parameters()
    for mine, theirs in zip(own, in_order(net, start(nets.module(net), net)[0]), strict=True):
        if seed == 0 or mine.ndim == 1:
            mine.data.copy_(torch.from_numpy(theirs.reshape(mine.shape)))
        else:  # as widely spread as ours
            mine.data.normal_(0, float(theirs.std()))
    optimiser = torch.optim.SGD(module.parameters(), RATE)
    found = []
    for images, classes in batches:
        optimiser.zero_grad()
        given = torch.from_numpy(images).permute(0, 3, 1, 2)
        wanted = torch.from_numpy(classes.astype(np.int64))
        loss = torch.nn.functional.cross_entropy(module(given), wanted)
        loss.backward()
        optimiser.step()
        found.append(float(loss.detach()))
    return np.array(found)


def in_order(net: Any, weights: Any) -> list[np.ndarray]:
    """Our EfficientNet's weights as `torch_net`'s parameters come, in their order of axes."""
    import jax

    tree = [weights.stem]
    for block in weights.blocks:
        *spread, project = block.convolutions
        tree += [*spread, *block.excite, project]
    arrays = map(np.asarray, jax.tree.leaves([*tree, weights.head, weights.classes]))
    return [np.array(a.transpose(TO_TORCH.get(a.ndim, (0,))), order="C") for a in arrays]
