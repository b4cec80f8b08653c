"""From an estimator to C: a trained forecaster as a library, its quantiles beside Python's own."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from scipy.signal import lfilter

from tilewright.sequence import LSTMRegressor

random = np.random.default_rng(0)
volatility = np.exp(lfilter([0.15], [1, -0.98], random.normal(size=4000)))  # it comes and goes
returns = 0.01 * volatility * random.standard_t(6, 4000)
sizes = np.log(np.abs(returns) + 1e-4)
inputs = np.stack([returns, sizes], axis=1)
X = np.lib.stride_tricks.sliding_window_view(inputs, 32, axis=0).swapaxes(1, 2)[:-1]
y = returns[32:]  # (samples, 32 steps, 2 inputs) and the return after them

model = LSTMRegressor(hidden=16, epochs=12, seeds=2, random_state=0).fit(X[:3000], y[:3000])
forecast = model.predict_distribution(X[3000:])
inside = np.abs(forecast.cdf(y[3000:]) - 0.5) < 0.45
print(f"90 % intervals hold {inside.mean():.0%} of {inside.size} later returns")

# Scaling, both nets and the head are one program. Ticks are inputs in their own units; an answer
# is a location and a scale of each net. The degrees of freedom stay the same: they go in a table.
stream = model.to_stream()
ticks = X[-1].astype(np.float32)
compiler = shutil.which("cc") or shutil.which("gcc")
with tempfile.TemporaryDirectory() as folder:
    written = stream.program.export(folder, "net")
    print("written:", ", ".join(path.name for path in written.files), written.note)
    if compiler is None:
        print("no C compiler here: the example is not built")
    else:
        # net_example.c reads ticks, calls net_answer, then net_prepare before the next one
        command = [compiler, "net_example.c", "libnet.a", "-lm", "-o", "example"]
        subprocess.run(command, cwd=folder, check=True)
        done = subprocess.run(
            [Path(folder, "example")], input=ticks.tobytes(), capture_output=True, check=True
        )
        from_c = np.frombuffer(done.stdout, np.float32).reshape(len(ticks), 2, 2)[-1]
        for tick in ticks:
            from_python = stream.answer(tick[None])
            stream.prepare()
        assert from_c.tobytes() == from_python.tobytes()  # to the bit
        for (location, width), df in zip(from_c, np.ravel(forecast.df), strict=True):
            print(f"a net says {location:+.5f} ± {width:.5f}, Student's t with df {df:.1f}")
