"""Losses while a sequence net learns, beside PyTorch's, from the same start on equal batches."""

import jax
import numpy as np
import pytest

from tilewright.models import forecaster
from tilewright.models.forecaster import STUDENT, Forecaster
from tilewright.models.recurrent import Layer, Recurrent
from tilewright.sequence import fitting, pieces
from tilewright.sequence.fitting import Task
from tilewright.sequence.training import Hyper, Recipe, Rows

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.peers, pytest.mark.slow]

torch.set_num_threads(1)
INPUTS, HIDDEN, SEQUENCES, LONG, BATCH, EPOCHS = 4, 16, 32, 48, 8, 40
RATE, DECAY, CLIP = 3e-3, 1e-2, 1.0
SEEDS = range(4)
FORM = Forecaster(Recurrent((Layer("lstm", INPUTS, HIDDEN),), reads="every step"), STUDENT)


def data():
    """What a row is hangs on the row six before it: rows (sequences, steps, inputs) and targets."""
    random = np.random.default_rng(0)
    x = random.normal(size=(SEQUENCES, LONG, INPUTS)).astype(np.float32)
    y = x[..., 0] + np.roll(x[..., 1], 6, axis=1) * x[..., 2]
    noise = 0.3 * random.standard_t(5, y.shape)
    return x, (y + noise).astype(np.float32)


X, Y = data()


def ours():
    """Mean losses while learning, (seeds, epochs), and where each began."""
    begin = np.arange(SEQUENCES) * LONG
    rows = Rows(X.reshape(-1, INPUTS), Y.reshape(-1, 1), np.ones((Y.size, 1), np.float32))
    numbers = map(np.float32, (RATE, DECAY, CLIP, 0.9))
    hyper = Hyper(*numbers, *map(np.int32, (EPOCHS, EPOCHS, 10**6)))
    learned = pieces.cut(begin, begin + LONG, begin, LONG, 0)
    none = pieces.cut(begin, begin, begin, LONG, 0)
    keys = jax.vmap(jax.random.key)(np.array(SEEDS))
    recipe = Recipe(FORM, BATCH, LONG, 64)
    fit = fitting.fitted(recipe, Task(keys, hyper, rows, learned, none), "native")
    return fit.scores[:, :EPOCHS, 0]


def theirs(seed: int) -> list[float]:
    """The same by PyTorch: its LSTM, its Student's t, its AdamW and clipping."""
    start, orders = jax.random.split(jax.random.key(seed))
    given = jax.tree.map(np.asarray, forecaster.initial(FORM, start))
    ((cell,),) = given.net.layers
    net, skip = torch.nn.LSTM(INPUTS, HIDDEN, batch_first=True), torch.zeros(INPUTS, 2)
    out, bias, degrees = torch.zeros(HIDDEN, 2), torch.zeros(2), torch.zeros(1)
    with torch.no_grad():
        for name, array in (("weight_ih_l0", cell.W.T), ("weight_hh_l0", cell.U.T),
                            ("bias_ih_l0", cell.b)):  # fmt: skip
            getattr(net, name).copy_(torch.from_numpy(array.copy()))
        net.bias_hh_l0.zero_()
    net.bias_hh_l0.requires_grad_(False)  # one bias a gate, as ours
    own = [net.weight_ih_l0, net.weight_hh_l0, net.bias_ih_l0]
    own += [p.requires_grad_() for p in (skip, out, bias, degrees)]
    optimiser = torch.optim.AdamW(own, RATE, weight_decay=DECAY)
    x, y = torch.from_numpy(X), torch.from_numpy(Y)
    found = []
    for epoch in range(EPOCHS):
        bits = jax.random.bits(jax.random.fold_in(orders, epoch), (1024,), np.uint32)
        order = np.argsort(np.asarray(bits)[:SEQUENCES], kind="stable")
        total = 0.0
        for ids in order.reshape(-1, BATCH):
            z = net(x[ids])[0] @ out + x[ids] @ skip + bias
            df = 2 + 6 * torch.exp(torch.clamp(10 * degrees, max=4.0))
            law = torch.distributions.StudentT(df, z[..., 0], z[..., 1].exp())
            loss = -law.log_prob(y[ids]).mean()
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(own, CLIP)
            optimiser.step()
            total += float(loss.detach())
        found.append(total * BATCH / SEQUENCES)
    return found


def test_losses_follow_those_of_pytorch():
    """Equal to five digits in the first epoch; on average within the spread over seeds at the
    end, and both have learned."""
    one, other = ours(), np.array([theirs(seed) for seed in SEEDS])
    np.testing.assert_allclose(one[:, 0], other[:, 0], rtol=1e-5)
    spread = other.std(axis=0, ddof=1)
    print("ours", one.mean(0)[::8], "PyTorch", other.mean(0)[::8], "spread", spread[::8])
    assert np.all(one[:, -1] < one[:, 0] - 0.3)
    assert np.all(np.abs(one.mean(0) - other.mean(0))[1:] <= spread[1:])
