"""Steps of training of a small net on made images, and their losses."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from tilewright.models import efficientnet
from tilewright.models.efficientnet import EfficientNet
from tilewright.vision import nets

NET = EfficientNet(width=0.5, depth=0.5, size=64, classes=10, pad="even")
HALVED = nets.halved(NET)
STEPS, BATCH, RATE = 200, 16, 0.02
WINDOW = 20
"""Steps whose losses are averaged."""
SEEDS = range(4)


def batches():
    """A pattern for each class, shifted, under as much noise: images and labels."""
    random = np.random.default_rng(0)
    patterns = random.normal(size=(NET.classes, 16, 16, 3)).repeat(4, 1).repeat(4, 2)
    for _ in range(STEPS):
        labels = random.integers(NET.classes, size=BATCH)
        moved = [np.roll(patterns[k], random.integers(-8, 9, 2), (0, 1)) for k in labels]
        noise = random.normal(size=(BATCH, NET.size, NET.size, 3))
        yield (np.stack(moved) + noise).astype(np.float32), labels.astype(np.int32)


def loss(net, weights, kept, images, labels):
    logits, kept = efficientnet.train(net, weights, kept, images)
    chosen = jax.nn.log_softmax(logits)[jnp.arange(BATCH), labels]
    return -jnp.mean(chosen), kept


def step_of(net, weights, kept, images, labels):
    both = jax.value_and_grad(partial(loss, net), has_aux=True)
    (found, kept), gradients = both(weights, kept, images, labels)
    return jax.tree.map(lambda w, g: w - RATE * g, weights, gradients), kept, found


step = partial(step_of, NET)


def ours(program, weights, kept) -> list[float]:
    losses = []
    for images, labels in batches():
        weights, kept, found = program(weights, kept, images, labels)
        losses.append(float(found))
    return losses


def smoothed(losses) -> np.ndarray:
    return np.mean(np.reshape(losses, (-1, WINDOW)), axis=1)
