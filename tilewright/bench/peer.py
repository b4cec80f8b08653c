"""The peer: one JAX process pinned to one core, driven line by line from outside.

`python -m tilewright.bench.peer CPU MODULE SPEC` builds the workload that SPEC (JSON: name of a
class in MODULE and its fields) describes, compiles it, says "ready", and for each line it reads
runs it once and answers with the seconds it took.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from typing import Any


class Peer:
    """A handle on such a process: `begin` starts a run, `end` waits and gives its seconds."""

    def __init__(self, spec: Any, cpu: int):
        text = json.dumps([type(spec).__name__, asdict(spec)])
        environment = os.environ | {
            "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
            "JAX_PLATFORMS": "cpu",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tilewright.bench.peer", str(cpu), type(spec).__module__, text],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def wait_ready(self) -> None:
        self._read("ready")

    def begin(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("run\n")
        self.process.stdin.flush()

    def end(self) -> float:
        return float(self._read())

    def close(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait(10)

    def _read(self, expected: str = "") -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        if not line or (expected and line != expected):
            raise RuntimeError(f"the JAX peer ended early (it said {line!r})")
        return line


def main() -> None:
    cpu, module, text = sys.argv[1:4]
    os.sched_setaffinity(0, {int(cpu)})
    from importlib import import_module

    import jax

    name, fields = json.loads(text)
    fields = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
    workload = getattr(import_module(module), name)(**fields).workload()
    run = jax.jit(workload.chain)
    key = jax.random.key(int(cpu))
    jax.block_until_ready(run(key))
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        jax.block_until_ready(run(key))
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
