"""Nets as their owners have them, and their own answers."""

from typing import Any

import numpy as np
import pytest

RANDOM = np.random.default_rng(0)


def inputs(batch=3, steps=7, features=4) -> np.ndarray:
    return RANDOM.normal(size=(batch, steps, features)).astype(np.float32)


def torch_net(kind="LSTM", layers=2, reads="last step", batch_first=True, **options) -> Any:
    """A module with a recurrent part and a head."""
    torch = pytest.importorskip("torch")

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            make = getattr(torch.nn, kind)
            self.rnn = make(4, 5, layers, batch_first=batch_first, **options)
            ways = 2 if options.get("bidirectional") else 1
            self.drop = torch.nn.Dropout(0.3)
            self.hidden = torch.nn.Linear(5 * ways, 6)
            self.squash = torch.nn.Tanh()
            self.out = torch.nn.Linear(6, 2, bias=False)

        def forward(self, xs):
            found, state = self.rnn(xs)
            if reads == "last step":
                found = found[:, -1] if batch_first else found[-1]
            elif reads == "last state":
                h = state[0] if kind == "LSTM" else state
                ways = 2 if options.get("bidirectional") else 1
                found = torch.cat(list(h[-ways:]), -1)
            return self.out(self.squash(self.hidden(self.drop(found))))

    torch.manual_seed(0)
    return Net()


def torch_answers(net: Any, xs: np.ndarray) -> np.ndarray:
    """Batch first, whatever the net's own order."""
    import torch

    first = net.rnn.batch_first
    net.eval()
    with torch.no_grad():
        found = net(torch.from_numpy(xs if first else xs.swapaxes(0, 1).copy())).numpy()
    return found if first or found.ndim < 3 else found.swapaxes(0, 1)
