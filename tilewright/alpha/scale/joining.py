"""Joining a Ray cluster: one that runs, or one of our own that ends with the job.

In: "local:N", HOST:PORT or ray://HOST:PORT. Out: a process that is its driver, or one sentence: Ray
itself would look for minutes for what is not there, and say so line by line.
"""

from __future__ import annotations

import logging
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tilewright.alpha.errors import AlphaError

LOCAL, CLIENT = "local:", "ray://"
REACHED, SPOKEN = 3.0, 20.0
"""Seconds in which a cluster must answer at first, and say something."""
SETTINGS, ALERT = b"\x04", b"\x15"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + SETTINGS + bytes(5)
"""What a client of HTTP/2 begins with: a magic, and a frame of settings without any."""


def imported() -> Any:
    try:
        import ray
        import ray.util.scheduling_strategies
    except ImportError:
        raise AlphaError("A cluster needs the package ray: pip install ray.") from None
    return ray


def connect(ray: Any, cluster: str) -> None:
    """Start a cluster of our own, or join one; raises `AlphaError`."""
    options: dict[str, Any] = dict(address=cluster)
    if cluster.startswith(LOCAL):
        own = dict(num_cpus=_cpus(cluster), num_gpus=0, include_dashboard=False)
        options = dict(address="local", **own)
    else:
        place = host_and_port(cluster.removeprefix(CLIENT), cluster)
        if not answers(place):
            raise AlphaError(f"No cluster answers at {cluster}.")
        if not _speaks(place):
            raise AlphaError(f"What answers at {cluster} is no cluster of Ray.")
    try:
        with warnings.catch_warnings(), _silence():
            warnings.simplefilter("ignore")  # of JAX, about processes that Ray starts
            ray.init(logging_level=logging.ERROR, log_to_driver=False, **options)
    except Exception as error:  # whatever Ray makes of it
        raise AlphaError(f"The cluster {cluster} cannot be joined: {first_line(error)}.") from None


def _cpus(cluster: str) -> int:
    """N of "local:N"."""
    from tilewright.machine.cpu import cpu_limit

    text = cluster.removeprefix(LOCAL)
    if not text.isdecimal() or int(text) < 1:
        raise AlphaError(f"cluster must be local:N with a number of CPUs, not {cluster!r}.")
    if int(text) > cpu_limit():
        raise AlphaError(
            f"cluster is {cluster!r}, and this process may use {cpu_limit()} CPUs at most."
        )
    return int(text)


def host_and_port(text: str, cluster: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise AlphaError(f"cluster must be local:N, HOST:PORT or ray://HOST:PORT, not {cluster!r}.")
    return host.strip("[]"), int(port)


def answers(place: tuple[str, int]) -> bool:
    try:
        socket.create_connection(place, timeout=REACHED).close()
    except OSError:
        return False
    return True


def _speaks(place: tuple[str, int]) -> bool:
    """Whether it answers as servers of gRPC do, of which Ray would find out in minutes.

    A server sends its settings first (RFC 9113, 3.4); one that wants TLS sends an alert (RFC 8446).
    """
    with suppress(OSError), socket.create_connection(place, timeout=REACHED) as connection:
        connection.settimeout(SPOKEN)
        connection.sendall(PREFACE)
        answer = connection.recv(9)
        return answer[3:4] == SETTINGS or answer[:1] == ALERT
    return False


@contextmanager
def _silence() -> Iterator[None]:
    """Ray's own threads write to the process's standard error: what they say, we say."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def first_line(error: BaseException) -> str:
    """One line of a long text: its last where it is a task's traceback, else its first."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    line = lines[-1] if lines[0].startswith("\x1b[36m") else lines[0]
    return line.rstrip(".") or type(error).__name__
