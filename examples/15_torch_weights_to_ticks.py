"""A PyTorch module, asked tick by tick: its own numbers, how fast, and what precision costs."""

import time
from importlib.util import find_spec

import numpy as np

from tilewright.sequence import load

if find_spec("torch") is None:
    raise SystemExit("This example takes its net from PyTorch: pip install torch")
import torch


class Net(torch.nn.Module):
    """As a desk would have trained it; nothing in it knows of tilewright."""

    def __init__(self, inputs=16, units=64):
        super().__init__()
        self.lstm = torch.nn.LSTM(inputs, units, num_layers=2, batch_first=True)
        self.head = torch.nn.Linear(units, 1)

    def forward(self, xs):
        return self.head(self.lstm(xs)[0][:, -1])


torch.manual_seed(0)
net = Net().eval()
ticks = np.random.default_rng(0).normal(size=(500, 16)).astype(np.float32)

model = load(net)  # or load(net.state_dict()), load("net.pt"), load("net.onnx")
stream = model.stream()
for x in ticks:
    answer = stream.answer(x)  # what waits for the tick
    stream.prepare()  # what can be done before the next one

with torch.inference_mode():
    wanted = net(torch.from_numpy(ticks)[None]).numpy()[0]
print(f"after {len(ticks)} ticks {answer[0]:+.7f}, PyTorch over all of them {wanted[0]:+.7f}")

with torch.inference_mode():  # PyTorch tick by tick, with the state carried by hand
    state, taken = None, []
    for x in torch.from_numpy(ticks):
        start = time.perf_counter()
        found, state = net.lstm(x[None, None], state)
        net.head(found[:, -1])
        taken.append(time.perf_counter() - start)
print(f"PyTorch: {np.median(taken) * 1e6:.1f} µs a tick, all of it after the tick")

windows = np.random.default_rng(1).normal(size=(40, 50, 16))
for precision in ("float32", "bfloat16", "int8"):
    rates = model.stream(precision=precision).rates(0.2)
    print(f"{precision}: {rates}; error: {model.error(precision, windows)}")
