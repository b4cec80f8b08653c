"""Small nets with weights, for tests of what runs tick by tick."""

from functools import cache

import jax
import numpy as np

from tilewright.models.recurrent import Dense, Layer, Recurrent, initial
from tilewright.sequence import Model

INPUTS = 3
NETS = {
    "lstm": Recurrent((Layer("lstm", 3, 8), Layer("lstm", 8, 5)), (Dense(5, 2),)),
    "gru": Recurrent((Layer("gru", 3, 8), Layer("gru", 8, 8, reset="before")), (Dense(8, 1),)),
    "every step": Recurrent((Layer("lstm", 3, 20),), (Dense(20, 4, "tanh"),), "every step"),
    "packed": Recurrent((Layer("lstm", 3, 48), Layer("lstm", 48, 48)), (Dense(48, 1),)),
}


@cache
def model(name: str, seed: int = 0) -> Model:
    weights = initial(NETS[name], jax.random.key(seed))
    return Model(NETS[name], jax.tree.map(lambda a: np.asarray(a) * 2, weights))


def ticks(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(*shape, INPUTS)).astype(np.float32)


def windowed(net: Model, xs: np.ndarray) -> np.ndarray:
    """The answer at the last of (steps, streams, inputs) ticks, by a window."""
    answers = net.window(xs.shape[1], xs.shape[0], tiles=1)(np.swapaxes(xs, 0, 1).copy())
    return answers[:, -1] if net.net.reads == "every step" else answers
