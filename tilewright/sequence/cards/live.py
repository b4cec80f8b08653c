"""Scoring as purchases come: a state for each card, one purchase at a time, in microseconds.

In: a fitted `LSTMClassifier`, a fitted booster. Out: `Delays`. The net is measured from a C program
around its exported library: the states of all cards lie in one array, and a purchase is: its card's
state taken, the net's step, the state put back. Cards come in random order, so that states come
from memory and not from a cache. Boosting is measured as Python offers it: one row at a time, and
all rows at once.
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from tilewright.errors import ArgumentError
from tilewright.frozen import frozen
from tilewright.sequence.classifier import LSTMClassifier
from tilewright.sequence.latency_in_c import compiler

TIMES = 5
"""That 100,000 at once are asked."""
SOURCE = """
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "net.h"

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(void) {
    int64_t head[4]; /* purchases, inputs, outputs, cards */
    if (fread(head, sizeof head, 1, stdin) != 1) return 2;
    int64_t n = head[0];
    float *xs = malloc(n * head[1] * sizeof *xs), *ys = malloc(n * head[2] * sizeof *ys);
    int64_t *cards = malloc(n * sizeof *cards), *delays = malloc(n * sizeof *delays);
    if (fread(xs, head[1] * sizeof *xs, n, stdin) != (size_t)n) return 2;
    if (fread(cards, sizeof *cards, n, stdin) != (size_t)n) return 2;
    net_stream *stream = net_start(net_open());
    if (stream == NULL) return 3;
    size_t size = net_state_bytes();
    char *states = malloc(size * head[3]);
    for (int64_t i = 0; i < head[3]; i++) net_save(stream, states + size * i);
    for (int64_t i = 0; i < n; i++) {
        int64_t began = now();
        char *state = states + size * cards[i];
        net_restore(stream, state);
        net_answer(stream, xs + i * head[1], ys + i * head[2]);
        net_save(stream, state);
        delays[i] = now() - began;
    }
    int64_t bytes = size;
    fwrite(&bytes, sizeof bytes, 1, stdout);
    fwrite(delays, sizeof *delays, n, stdout);
    fwrite(ys, head[2] * sizeof *ys, n, stdout);
    return 0;
}
"""


@frozen
class Delays:
    """Microseconds a purchase."""

    what: str
    mean: float
    median: float
    p99: float
    note: str

    @staticmethod
    def of(what: str, nanoseconds: np.ndarray, note: str = "") -> Delays:
        half, most = np.percentile(nanoseconds, [50, 99]) / 1e3
        return Delays(what, float(nanoseconds.mean() / 1e3), float(half), float(most), note)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@frozen(eq=False)
class Scored:
    """What a run in C gave."""

    delays: np.ndarray  # (purchases,) nanoseconds
    answers: np.ndarray  # (purchases, classes)
    state_bytes: int  # of a card


def net(model: LSTMClassifier, X: np.ndarray, cards: int = 100_000, count: int = 200_000,
        seed: int = 0) -> Delays:  # fmt: skip
    """Of purchases drawn from X (rows, inputs), of random cards. The first tenth is left out."""
    random = np.random.default_rng(seed)
    xs = X[random.integers(0, len(X), count)].astype(np.float32)
    found = in_c(model, xs, random.integers(0, cards, count), cards)
    own = 8 * model.hidden * model.layers * model.seeds
    note = (
        f"{cards:,} cards, a state of {found.state_bytes:,} bytes each ({own:,} of them the net's: "
        f"{model.seeds} nets of {model.hidden} units), from C"
    )
    return Delays.of("LSTM, one purchase", found.delays[count // 10 :], note)


def in_c(model: LSTMClassifier, xs: np.ndarray, card: np.ndarray, cards: int) -> Scored:
    """Purchases xs (purchases, inputs), float32, of cards (purchases,) below `cards`, in order.

    Raises `ArgumentError` where there is no C compiler.
    """
    found = compiler()
    if found is None:
        raise ArgumentError("Scoring from C needs a C compiler: cc or gcc.")
    stream = model.to_stream(1, tiles=1)
    outputs = len(model.classes_)
    with TemporaryDirectory() as name:
        folder = Path(name)
        stream.program.export(folder, "net")
        (folder / "live.c").write_text(SOURCE)
        command = [found, "-O2", "live.c", "libnet.a", "-lm", "-o", "live"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ArgumentError(f"{found} does not build the program: {done.stderr.strip()}")
        head = np.array([len(xs), xs.shape[1], outputs, cards], np.int64)
        given = b"".join(
            [head.tobytes(), np.ascontiguousarray(xs, np.float32).tobytes(),
             card.astype(np.int64).tobytes()]
        )  # fmt: skip
        said = subprocess.run([folder / "live"], input=given, capture_output=True, check=True)
    delays = np.frombuffer(said.stdout, np.int64, 1 + len(xs))
    answers = np.frombuffer(said.stdout, np.float32, offset=delays.nbytes)
    return Scored(delays[1:], answers.reshape(len(xs), outputs), int(delays[0]))


def boosting(model: Any, X: np.ndarray, count: int = 300) -> list[Delays]:
    """One row at a time, on one thread, and 100,000 at once; features already made."""
    clock, delays = time.perf_counter_ns, []
    with threadpool_limits(1, "openmp"):
        for row in range(count):
            one = X[row % len(X)][None]
            began = clock()
            model.predict_proba(one)
            delays.append(clock() - began)
    many, each = X[np.arange(100_000) % len(X)], []
    for _ in range(TIMES):
        began = clock()
        model.predict_proba(many)
        each.append((clock() - began) / len(many))
    return [
        Delays.of("boosting, one purchase", np.array(delays[count // 10 :]), "from Python"),
        Delays.of(
            "boosting, 100,000 at once",
            np.array(each),
            "a purchase's share; none has its own delay",
        ),
    ]


def measured(last: dict[str, Any]) -> list[Delays]:
    """Of the last week's models; the net only where there is a C compiler."""
    from tilewright.sequence.cards.comparison import LAGS, NET

    found = []
    if compiler() is not None:
        found.append(net(*last[NET]))
    return found + boosting(*last[LAGS])
