"""The peer: JAX processes, one pinned to each core, driven line by line from outside.

    with Peers(cpus) as peers:
        peers.build("rows", spec, "map")     every process compiles its share of the instances
        done = peers.run("rows")             all run at once; the slowest one's seconds count

`python -m tilewright.bench.peer CPU` is such a process. It reads requests and writes answers, one
line of JSON each, and sleeps in between.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib import import_module
from typing import Any

from tilewright.bench.level import JAX_FLAGS
from tilewright.frozen import frozen

FLAGS = " ".join(("--xla_cpu_multi_thread_eigen=false", *JAX_FLAGS))


@frozen
class Done:
    """Seconds of the slowest process, and what all of them did together (`Workload.totals`)."""

    seconds: float
    totals: Mapping[str, float]


class Peers:
    """One process a core. As a context manager, it ends them.

    `totals` are those of the last run of each name: a run gives the same ones every time.
    """

    def __init__(self, cpus: Sequence[int]):
        self.processes = [_start(cpu) for cpu in cpus]
        self.totals: dict[str, Mapping[str, float]] = {}

    def __enter__(self) -> Peers:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdout is not None
            process.stdout.close()

    def build(self, name: str, spec: Any, mode: str) -> None:
        """Compile `spec.workload()` and run it once; `mode` is "map" or "vmap"."""
        common = {
            "build": name,
            "module": type(spec).__module__,
            "class": type(spec).__name__,
            "fields": asdict(spec),
            "mode": mode,
        }
        count = len(self.processes)
        self._ask([common | {"share": [i, count]} for i in range(count)])

    def run(self, name: str) -> Done:
        answers = self._ask([{"run": name}] * len(self.processes))
        totals: dict[str, float] = {}
        for answer in answers:
            for key, value in answer["totals"].items():
                totals[key] = totals.get(key, 0.0) + value
        self.totals[name] = totals
        return Done(max(answer["seconds"] for answer in answers), totals)

    def timed(self, name: str) -> Callable[[], float]:
        """For `rounds.compare`."""
        return lambda: self.run(name).seconds

    def _ask(self, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """All processes at once."""
        for process, request in zip(self.processes, requests, strict=True):
            assert process.stdin is not None
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
        return [_answer(process) for process in self.processes]


def _start(cpu: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tilewright.bench.peer", str(cpu)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"XLA_FLAGS": FLAGS, "JAX_PLATFORMS": "cpu"},
    )


def _answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"a JAX peer ended early, with status {process.wait(10)}")
    return json.loads(line)


def main() -> None:
    os.sched_setaffinity(0, {int(sys.argv[1])})
    answers, sys.stdout = sys.stdout, sys.stderr
    runs: dict[str, Callable[[], Done]] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "build" in request:
            runs[request["build"]] = _build(request)
            done = runs[request["build"]]()
        else:
            done = runs[request["run"]]()
        print(json.dumps(asdict(done)), file=answers, flush=True)


def _build(request: dict[str, Any]) -> Callable[[], Done]:
    """A function that runs this process's share once; the instances are dealt out in turn."""
    import jax

    fields = {k: tuple(v) if isinstance(v, list) else v for k, v in request["fields"].items()}
    workload = getattr(import_module(request["module"]), request["class"])(**fields).workload()
    first, count = request["share"]
    arguments = jax.tree.map(lambda a: a[first::count], workload.arguments)
    many = len(jax.tree.leaves(arguments)[0])
    if many == 1:
        function, arguments = workload.chain, jax.tree.map(lambda a: a[0], arguments)
    elif request["mode"] == "vmap":
        function = jax.vmap(workload.chain)
    else:
        function = _one_after_another(workload.chain)
    compiled = jax.jit(function).lower(*arguments).compile()

    def run() -> Done:
        start = time.perf_counter()
        outputs = jax.block_until_ready(compiled(*arguments))
        return Done(time.perf_counter() - start, workload.totals(outputs))

    return run


def _one_after_another(chain: Callable) -> Callable:
    import jax

    return lambda *arguments: jax.lax.map(lambda slices: chain(*slices), arguments)


if __name__ == "__main__":
    main()
