"""Who does the work of a job: a Ray cluster.

In: "local:N", for a cluster of this machine's CPUs that lives as long as the job, or the address of
one that runs: HOST:PORT or ray://HOST:PORT. Out: a `Crew`. Every chain and every scored
window is a task of one CPU and one tile. The panel is put into the object store once, from where
each node takes it; the processes of a node compile one after the other, so that all but the first
find the program there. A task that is lost with its worker or node is run again, elsewhere: it is a
pure function. A driver or a head that is lost leaves the job's folder, from which it goes on.

All nodes must have this version and one level of the instruction set; `level="avx2"` keeps those
that have more to AVX2. The driver does no arithmetic: it may be of any level.
"""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from typing import Any, NamedTuple

import tilewright
from tilewright.alpha.errors import AlphaError
from tilewright.alpha.scale.joining import (
    CLIENT,
    LOCAL,
    answers,
    connect,
    first_line,
    host_and_port,
    imported,
)
from tilewright.alpha.scale.level import here, kept_to
from tilewright.alpha.scale.material import ChainTask, Material, Task, material_of
from tilewright.alpha.scale.own_cluster import OwnCluster
from tilewright.alpha.scale.program import program
from tilewright.alpha.scale.settings import ScaleSettings
from tilewright.alpha.tables import Prices
from tilewright.env import ENVIRONMENT
from tilewright.files import usable_folder

RETRIES = 50
"""Losses of a worker or node that a task survives: more are a fault of its own."""
GONE = 5.0
"""Seconds without an answer until a cluster is given up."""
LOOK, PATIENCE = 1.0, 0.2
"""Seconds between looks at the cluster, and between those for a signal such as Ctrl-C."""
ONE_TILE = {"TILEWRIGHT_TILES": "1", "TILEWRIGHT_PROCESSES": "1"}
PACKAGES = ("tilewright", "jax", "llvmlite", "numpy", "scipy", "scikit-learn", "blackjax")
"""Whose versions decide bits."""


class About(NamedTuple):
    """A process, as far as its bits depend on it."""

    level: str
    versions: tuple[str, ...]  # of PACKAGES

    def difference(self, other: About) -> str:
        """The first thing in which another differs; empty if nothing does."""
        pairs = [("level", self.level, other.level)]
        pairs += zip(PACKAGES, self.versions, other.versions, strict=True)
        return next((f"{name} {b}, not {a}" for name, a, b in pairs if a != b), "")


class Answer(NamedTuple):
    """Of a task: what it gave, and where it ran."""

    value: Any
    about: About
    node: str


class Cluster:
    """A `Crew` of Ray tasks."""

    def __init__(self, cluster: str, level: str | None = None):
        """Connect, and find all nodes alike; raises `AlphaError` for what cannot be."""
        self._ray = imported()
        self._environment = {"env_vars": {**ONE_TILE, **kept_to(level)}}
        self._name, self._joined = cluster, not self._ray.is_initialized()
        ours = self._joined and cluster.startswith(LOCAL)
        self._own = OwnCluster() if ours else None
        try:
            if self._joined:
                connect(self._ray, cluster)
            self._head = self._head_address()
            self._looked, self._answered, self._room = 0.0, time.monotonic(), 1
            self._look()
            self._about = self._agreed()
            if self._own is not None:
                self._own.begun()
        except BaseException:
            self.close()
            raise
        self.level = self._about.level

    def prepare(self, settings: ScaleSettings, prices: Prices) -> Material:
        """Everything that is shared, made on a node, and put where all nodes find it."""
        made = self._remote(_prepare).remote(settings, prices)
        (_, material), *_ = self.wait([made])
        self._shared = self._ray.put((uuid.uuid4().hex, material))
        self._work = self._remote(_work)
        return material

    def room(self) -> int:
        """Twice its CPUs: a worker that has done one task finds the next."""
        return self._room

    def start(self, task: Task) -> Any:
        """A reference to what the task will give."""
        return self._work.remote(self._shared, task)

    def wait(self, handles: Sequence[Any]) -> list[tuple[Any, Any]]:
        """One that has ended, and what it gave.

        Raises `AlphaError` for a cluster that is gone, and what the task raised.
        """
        while True:
            self._look()
            ended, _ = self._ray.wait(list(handles), num_returns=1, timeout=PATIENCE)
            if ended:
                return [(handle, self._value(handle)) for handle in ended]

    def close(self) -> None:
        """Leave the cluster, which ends our tasks; one of our own ends itself."""
        if self._own is not None:
            self._own.end_helpers()
        with suppress(Exception):  # it may be gone already
            if self._joined:
                self._ray.shutdown()
        if self._own is not None:
            self._own.unwatch()

    def _remote(self, function: Any) -> Any:
        return self._ray.remote(function).options(
            num_cpus=1, max_retries=RETRIES, runtime_env=self._environment
        )

    def _value(self, handle: Any) -> Any:
        try:
            answer: Answer = self._ray.get(handle)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except self._ray.exceptions.RayError as error:
            raise AlphaError(
                f"The cluster {self._name} gave up a task: {first_line(error)}."
            ) from None
        self._check(answer)
        return answer.value

    def _check(self, answer: Answer) -> None:
        """Nodes may come while a job is under way."""
        different = self._about.difference(answer.about)
        if different:
            raise AlphaError(
                f"The cluster {self._name} is mixed: node {answer.node} has {different}."
            )

    def _agreed(self) -> About:
        """What all nodes have; raises `AlphaError` if they do not."""
        nodes = [n for n in self._ray.nodes() if n["Alive"] and n["Resources"].get("CPU")]
        if not nodes:
            raise AlphaError(f"The cluster {self._name} has no CPUs.")
        affinity = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        ask = self._ray.remote(_about)
        asked = [
            ask.options(
                num_cpus=0,
                runtime_env=self._environment,
                scheduling_strategy=affinity(node["NodeID"], soft=False),
            ).remote()
            for node in nodes
        ]
        found: list[Answer] = []
        faults = self._ray.exceptions
        for node, handle in zip(nodes, asked, strict=True):
            try:
                found.append(self._ray.get(handle))
            except (faults.RayTaskError, faults.RuntimeEnvSetupError) as error:
                host = node["NodeManagerAddress"]
                raise AlphaError(
                    f"Node {host} of the cluster {self._name} cannot work: {first_line(error)}."
                ) from None
            except faults.RayError:  # it is lost meanwhile
                continue
        if not found:
            raise AlphaError(f"The cluster {self._name} has lost all its nodes.")
        first = found[0]
        for other in found:
            different = first.about.difference(other.about)
            if different:
                remedy = "; level='avx2' keeps all to AVX2" * different.startswith("level")
                raise AlphaError(
                    f"The cluster {self._name} is mixed: node {other.node} has {different} as "
                    f"{first.node}{remedy}."
                )
        mine = _versions()
        if first.about.versions != mine:
            different = About("", mine).difference(About("", first.about.versions))
            raise AlphaError(f"The nodes of {self._name} have {different} as here.")
        return first.about

    # Whether it is still there

    def _head_address(self) -> tuple[str, int]:
        """Of what answers for the whole cluster."""
        if self._name.startswith(CLIENT):
            return host_and_port(self._name.removeprefix(CLIENT), self._name)
        return host_and_port(self._ray.get_runtime_context().gcs_address, self._name)

    def _look(self) -> None:
        """Now and then: is the head there, and how many CPUs?"""
        now = time.monotonic()
        if now - self._looked < LOOK:
            return
        self._looked = now
        if answers(self._head):
            self._answered = now
            self._room = max(1, 2 * int(self._ray.cluster_resources().get("CPU", 0)))
        elif now - self._answered > GONE:
            raise AlphaError(
                f"The cluster {self._name} does not answer any more: what was finished is kept, "
                "and the same command goes on."
            )


# On nodes

_kept: dict[str, Material] = {}
"""The last job's, whose rows this process has made."""
_compiled: set[tuple[ScaleSettings, int]] = set()


def _prepare(settings: ScaleSettings, prices: Prices) -> Answer:
    return _answer(material_of(settings, prices))


def _work(shared: tuple[str, Material], task: Task) -> Answer:
    """The task, with what is shared."""
    name, material = shared
    if name not in _kept:
        _kept.clear()
        _kept[name] = material
    material = _kept[name]
    if not isinstance(task, ChainTask):
        return _answer(material.score(task))
    _compile(material.settings, len(material.rows(task.window, task.series).y))
    return _answer(material.chain(task))


def _compile(settings: ScaleSettings, rows: int) -> None:
    """Each process once, and one process of a node after the other."""
    if (settings, rows) not in _compiled:
        with _alone_on_the_node():
            program(settings, rows)
        _compiled.add((settings, rows))


def _about() -> Answer:
    return _answer(None)


def _answer(value: Any) -> Answer:
    return Answer(value, About(here(), _versions()), socket.gethostname())


def _versions() -> tuple[str, ...]:
    others = PACKAGES[1:]
    return tilewright.__version__, *(version(name) for name in others)


@contextmanager
def _alone_on_the_node() -> Iterator[None]:
    """Who comes later finds in the cache what the first has compiled."""
    folder = ENVIRONMENT.cache
    if folder is None or not usable_folder(folder):
        yield
        return
    import fcntl  # Ray's nodes are not of other systems, where it is missing

    with (folder / "compiling.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
