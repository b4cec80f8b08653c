"""Weights of which blocks are zero: an LSTM pruned while it learns, and a mask of one's own."""

import time

import jax
import jax.numpy as jnp
import numpy as np

import tilewright
from tilewright.sequence import LSTMRegressor

random = np.random.default_rng(0)
X = random.normal(size=(800, 20, 32)).astype(np.float32)  # 800 samples of 20 steps, 32 inputs
drift = np.cumsum(X[:, :, :4].sum(-1) * 0.9 ** np.arange(20)[::-1], axis=1)[:, -1]
y = np.tanh(drift / 3) + 0.1 * random.normal(size=800)

for density in (1.0, 0.25):  # of blocks of 4 x 16 that are left, the least in magnitude gone first
    model = LSTMRegressor(hidden=192, epochs=16, prune_epochs=8, density=density, random_state=0)
    model.fit(X[:600], y[:600])
    stream = model.to_stream()  # skips what is gone: packed weights hold what is left
    for x in X[600]:
        stream.answer(x[None])
    times = []
    for x in np.tile(X[601], (20, 1)):
        start = time.perf_counter()
        stream.prepare()
        stream.answer(x[None])
        times.append(time.perf_counter() - start)
    took = 1e6 * np.median(times)
    print(f"density {density:4}: R² {model.score(X[600:], y[600:]):.3f}, {took:.1f} µs a tick")

# A layer of one's own: the mask is part of the program, so is what it skips; weights are data.
mask = np.random.default_rng(1).random((512 // 4, 512 // 16)) < 0.2


def loss(w, x, y):
    return jnp.mean((jnp.tanh(x @ tilewright.blocks(w, mask)) - y) ** 2)


def layer(w, x):
    return jnp.tanh(x @ tilewright.blocks(w, mask))


w = (random.normal(size=(512, 512)) / 10).astype(np.float32)
x, target = random.normal(size=(2, 1, 512)).astype(np.float32)
gradient = tilewright.compile(jax.grad(loss), w, x, target)(w, x, target)
print(f"{np.mean(gradient != 0):.0%} of the gradient is not zero, as of the mask {mask.mean():.0%}")

program = tilewright.compile(layer, w, x)
bound = program.bind(w)
assert bound(x).tobytes() == program(w, x).tobytes()  # the bits of the product with its zeros
print([line.split(" = ")[1] for line in bound.graph.splitlines() if "dot" in line])
