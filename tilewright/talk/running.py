"""Steps one after the other, each in a process of its own; what is done is not done again.

    python -m tilewright.talk.running STEP PID      one step, for process PID; says what came of it

Steps that others disturbed (they took more than `DISTURBED` of the processors) are done once more
when all are done, as far as there is time; those that are disturbed again stay so, and say so.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tilewright.bench.record import this_machine
from tilewright.errors import ArgumentError
from tilewright.talk.budget import Budget
from tilewright.talk.orphan import end_with_parent
from tilewright.talk.peaks import without_peaks
from tilewright.talk.record import Outcome, Talk, as_text, load, outcome_of
from tilewright.talk.steps import Step, step_of

DISTURBED = 0.15
"""Of a processor's time, taken by others while a step runs."""
LONGEST = 900
"""Seconds that a step may take."""
PACKAGES = (
    *("tilewright", "jax", "numpy", "llvmlite"),
    *("blackjax", "numpyro", "torch", "onnxruntime", "openvino"),
)
MACHINE = ("cpu", "cores", "level", "vector_bits", "cache_kib", "memory_gib", "system", "python")
FOLDERS = re.compile(r"(?<![\w.])/(?:[^\s'\":;,()/]+/)+")
"""Of a path that begins at a root, all but its last name."""
PROC, RAPL = Path("/proc"), Path("/sys/class/powercap/intel-rapl:0/energy_uj")


def begin(path: Path, settings: dict[str, Any]) -> Talk:
    """The record to go on with, or a new one.

    Raises `ArgumentError` where the file is of another machine, other packages or other settings.
    """
    host = this_machine()
    machine = {key: host[key] for key in MACHINE} | {"battery": on_battery()}
    packages = {name: found for name in PACKAGES if (found := _version(name))}
    fresh = Talk(machine, packages, settings)
    if not path.exists():
        return fresh
    old = load(path)
    for what in ("machine", "packages", "settings"):
        before, now = (without_peaks(getattr(talk, what)) for talk in (old, fresh))
        if before != now:
            keys = [k for k in {*before, *now} if before.get(k) != now.get(k)]
            raise ArgumentError(
                f"{path} was begun with other {what} ({', '.join(sorted(keys))}): "
                "take another folder, or remove it."
            )
    return old


def run(
    talk: Talk,
    path: Path,
    steps: Sequence[Step],
    told: Callable[[Step, Outcome | None], None],
    budget: Budget,
) -> Talk:
    """All steps that are not done and have time; the file is replaced after each. `told` hears of
    each twice: before it runs, with None, and after."""
    for step, again in (*((step, False) for step in steps), *((step, True) for step in steps)):
        done = talk.outcomes.get(step.name)
        if not (_is_shaken(done) if again else _is_due(done)) or not budget.has(step):
            continue
        told(step, None)
        outcome = _child(step, budget.left)
        budget.took(step, outcome.conditions["seconds"])
        if done is not None and again:
            outcome = _quieter(done, outcome)
        talk = talk.with_outcome(step.name, outcome)
        talk.save(path)
        told(step, outcome)
    return talk


def _is_due(done: Outcome | None) -> bool:
    return done is None or bool(done.failed)


def _is_shaken(done: Outcome | None) -> bool:
    """Whether it was disturbed, and not yet done again."""
    return done is not None and disturbed(done) and not done.conditions.get("repeated")


def _quieter(first: Outcome, second: Outcome) -> Outcome:
    """The one that others disturbed less."""
    kept = min((first, second), key=lambda o: (bool(o.failed), o.conditions["others"]))
    return replace(kept, conditions=dict(kept.conditions) | {"repeated": 1})


def left(talk: Talk, steps: Sequence[Step]) -> list[Step]:
    """Those that another call would do."""
    return [step for step in steps if _is_due(talk.outcomes.get(step.name))]


def disturbed(outcome: Outcome) -> bool:
    return outcome.conditions.get("others", 0.0) > DISTURBED


def _child(step: Step, most: float = LONGEST) -> Outcome:
    """In a process of its own, for `most` seconds at most."""
    watch, most = Watch.start(), min(most, LONGEST)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tilewright.talk.running", step.name, str(os.getpid())],
            capture_output=True, text=True, timeout=most,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        sentence = f"it took more than {most:.0f} seconds"
        return Outcome(step.workload, conditions=watch.stop(), failed=sentence)
    conditions = watch.stop()
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        sentence = lines[-1] if lines else f"status {done.returncode}"
        return Outcome(step.workload, conditions=conditions, failed=without_paths(sentence))
    outcome = outcome_of(json.loads(done.stdout.splitlines()[-1]))
    return replace(outcome, conditions=conditions)


def without_paths(sentence: str) -> str:
    """Of files only the names: where they lie says whose machine it is."""
    return FOLDERS.sub("", sentence)


@dataclass
class Watch:
    """What the system says of a stretch of time."""

    began: float
    busy: float
    mine: float
    steal: float
    energy: float | None

    @classmethod
    def start(cls) -> Watch:
        return cls(time.perf_counter(), *_busy_and_steal(), _energy())  # type: ignore[arg-type]

    def stop(self) -> dict[str, Any]:
        """Seconds; processors taken by others and by the machine's host; MHz; joules."""
        seconds = time.perf_counter() - self.began
        busy, mine, steal = _busy_and_steal()
        others = (busy - self.busy) - (mine - self.mine)
        found: dict[str, Any] = {
            "seconds": round(seconds, 1),
            "others": round(max(0.0, others) / seconds, 3),
            "stolen": round((steal - self.steal) / seconds, 3),
            "MHz": _megahertz(),
        }
        energy = _energy()
        if energy is not None and self.energy is not None and energy >= self.energy:
            found["joules"] = round((energy - self.energy) / 1e6, 1)
        return found


def _busy_and_steal() -> tuple[float, float, float]:
    """Seconds of processors: all that was busy, what this process's children took, stolen."""
    words = (PROC / "stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _, _, interrupts, soft, steal = (int(word) for word in words[:8])
    tick = os.sysconf("SC_CLK_TCK")
    times = os.times()
    mine = times.user + times.system + times.children_user + times.children_system
    return (user + nice + system + interrupts + soft) / tick, mine, steal / tick


def _megahertz() -> float | None:
    """Of the fastest core, now."""
    try:
        lines = (PROC / "cpuinfo").read_text().splitlines()
    except OSError:
        return None
    found = [float(line.split(":")[1]) for line in lines if line.startswith("cpu MHz")]
    return max(found, default=None)


def _energy() -> float | None:
    """Microjoules of the package, where they may be read."""
    try:
        return float(RAPL.read_text())
    except (OSError, ValueError):
        return None


def on_battery(root: Path = Path("/sys/class/power_supply")) -> bool:
    """Whether a battery is being emptied: such a host slows down."""
    states = [path.read_text().strip() for path in root.glob("*/status")]
    return "Discharging" in states


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def main() -> None:
    end_with_parent(int(sys.argv[2]))
    answers, sys.stdout = sys.stdout, sys.stderr
    print(as_text(step_of(sys.argv[1]).run()), file=answers, flush=True)


if __name__ == "__main__":
    main()
