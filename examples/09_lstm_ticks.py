"""An LSTM that answers tick by tick: alone, for several streams, and over a window that slides."""

import numpy as np

from tilewright.sequence import load

rng = np.random.default_rng(0)
FEATURES, UNITS, STEPS = 6, 32, 20


def weights(*shape):
    return rng.uniform(-1, 1, shape).astype(np.float32) / UNITS**0.5


# What `torch.save(net.state_dict(), "net.pt")` leaves of an nn.LSTM and an nn.Linear;
# load("net.pt"), a .keras, an .onnx or a .safetensors file does the same.
net = load(
    {
        "lstm.weight_ih_l0": weights(4 * UNITS, FEATURES),
        "lstm.weight_hh_l0": weights(4 * UNITS, UNITS),
        "lstm.bias_ih_l0": weights(4 * UNITS),
        "lstm.bias_hh_l0": weights(4 * UNITS),
        "head.weight": weights(1, UNITS),
        "head.bias": weights(1),
    },
    reads="last step",
)
ticks = rng.normal(size=(60, FEATURES)).astype(np.float32)

stream = net.stream()
for x in ticks:
    answer = stream.answer(x)  # as soon as the tick is there: what waits for it, and no more
    stream.prepare()  # then, in the time until the next one: U h, and whatever else can be
print("after 60 ticks", answer, "- late:", stream.late)

# The same number as a whole window gives, to the last bit.
window = net.window(batch=1, steps=len(ticks))
assert window(ticks[None]).tobytes() == answer.tobytes()

# A window over the last 20 ticks. Each answer is that of a net that begins at zero 20 ticks ago.
slide = net.slide(STEPS)
for x in ticks:
    answer = slide.answer(x)
    slide.prepare()
assert net.window(batch=1, steps=STEPS)(ticks[None, -STEPS:]).tobytes() == answer.tobytes()
print("stream:", stream.rates(0.2))
print("slide: ", slide.rates(0.2))

# Streams know nothing of each other; their states can be kept, put back and branched off.
both = net.stream(2)
both.restore(stream.save(), 1)
both.fork(1, 0)
print("two that go on from the same state", both.answer(np.stack([ticks[0], ticks[1]])).ravel())
