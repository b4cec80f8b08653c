"""A trained LSTM as a library for C: built and linked here, asked for ticks, the same bits."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import jax
import numpy as np

from tilewright.models.recurrent import Dense, Layer, Recurrent, initial
from tilewright.sequence import Model

net = Recurrent((Layer("lstm", 16, 64), Layer("lstm", 64, 64)), (Dense(64, 1),))
model = Model(net, jax.tree.map(np.asarray, initial(net, jax.random.key(0))))
ticks = np.random.default_rng(0).normal(size=(5, 1, 16)).astype(np.float32)

for precision in ("float32", "bfloat16", "int8"):
    error = model.error(precision, np.random.default_rng(1).normal(size=(20, 30, 16)))
    print(f"{precision}: {error}")

stream = model.stream(precision="int8")
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
        answers = np.frombuffer(done.stdout, np.float32)
        expected = np.concatenate([np.ravel(stream(x)) for x in ticks])
        for number, (there, here) in enumerate(zip(answers, expected, strict=True)):
            print(f"tick {number}: from C {there:+.7f}, from Python {here:+.7f}")
        print("the same bits" if np.array_equal(answers, expected) else "other bits")
        library = Path(folder, "libnet.a").stat().st_size
        print(f"the library: {library / 1e3:,.0f} kB with weights; all it needs is libm")
