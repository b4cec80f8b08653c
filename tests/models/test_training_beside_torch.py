"""Losses of 200 steps, beside those of PyTorch from the same start on the same batches."""

from itertools import chain

import jax
import numpy as np
import pytest

import tilewright
from tests.models.steps import NET, RATE, SEEDS, batches, ours, smoothed, step
from tilewright.bench.image_peers import torch_net
from tilewright.models import efficientnet

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.peers, pytest.mark.slow]


def theirs(weights) -> list[float]:
    module = torch_net(torch, NET, folded=False).train()
    fill(module, weights)
    optimiser = torch.optim.SGD(module.parameters(), RATE)
    losses = []
    for images, labels in batches():
        given = torch.from_numpy(images).permute(0, 3, 1, 2)
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(module(given), torch.from_numpy(labels).long())
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return losses


def fill(module, weights) -> None:
    """Our weights, in the order of PyTorch's layers: squeeze and excite before the projection."""
    blocks = [
        (*block.convolutions[:-1], *block.excite, block.convolutions[-1])
        for block in weights.blocks
    ]
    layers = [weights.stem, *chain(*blocks), weights.head, weights.classes]
    values = iter([array for layer in layers for array in layer])
    with torch.no_grad():
        for parameter in module.parameters():
            array = np.asarray(next(values))
            if array.ndim == 4:
                array = array.transpose(3, 2, 0, 1)
            elif array.ndim == 2:
                array = array.T.reshape(parameter.shape)
            parameter.copy_(torch.from_numpy(array.copy()))
    assert next(values, None) is None


def test_losses_stay_within_the_spread_over_seeds():
    """Equal to five digits at the start, later the same on average."""
    starts = [efficientnet.start(NET, jax.random.key(seed)) for seed in SEEDS]
    program = tilewright.compile(step, *starts[0], *next(batches()), tiles=1)
    found, peers = [ours(program, *start) for start in starts], [theirs(w) for w, _ in starts]
    np.testing.assert_allclose(np.array(found)[:, :2], np.array(peers)[:, :2], rtol=1e-4)
    one, other = np.array([*map(smoothed, found)]), np.array([*map(smoothed, peers)])
    spread = other.std(axis=0, ddof=1)
    for name, row in (("ours", one.mean(0)), ("PyTorch", other.mean(0)), ("spread", spread)):
        print(name, np.round(row, 3))
    assert np.all(one[:, -1] < 0.5 * one[:, 0])
    assert np.all(np.abs(one.mean(0) - other.mean(0)) <= spread)
