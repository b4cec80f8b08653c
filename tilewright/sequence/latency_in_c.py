"""The same delays, measured in a C program around an exported library.

In: a program with a state that answers (1, inputs), ticks, intended times. Out: delays, and the
floor of this machine as the same C program finds it: delays of a loop that spins for as long as an
answer takes. Saturated, ticks and spinning take turns, `BLOCK` of each, as what a machine does to
programs changes from one second to the next; the first tick of a turn is not counted, as it finds
what spinning left. Needs a C compiler (cc or gcc).
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from tilewright.env import ENVIRONMENT
from tilewright.errors import ArgumentError
from tilewright.runtime.stateful import Stateful
from tilewright.sequence.latency import EMPTIES, Measured, Times

BLOCK = 100

SOURCE = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "net.h"

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int by_size(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Delays of a loop that is as long as the median of so many answers, which are sorted. */
static void spin(int64_t *answers, int64_t count, int64_t *floor) {
    qsort(answers, count, sizeof *answers, by_size);
    int64_t length = answers[count / 2];
    for (int64_t i = 0, last = now(); i < count; i++) {
        int64_t end = last + length;
        while ((last = now()) < end) {}
        floor[i] = last - end;
    }
}

int main(void) {
    int64_t head[4]; /* ticks, inputs, outputs, whether caches are emptied */
    if (fread(head, sizeof head, 1, stdin) != 1) return 2;
    int64_t n = head[0], saturated = 1;
    float *xs = malloc(n * head[1] * sizeof *xs), *y = malloc(head[2] * sizeof *y);
    int64_t *due = malloc(n * sizeof *due), *delays = malloc(n * sizeof *delays);
    int64_t *between = malloc(n * sizeof *between), *floor = malloc(n * sizeof *floor);
    unsigned char *waste = calloc(head[3] ? EMPTIES : 1, 1);
    if (fread(xs, head[1] * sizeof *xs, n, stdin) != (size_t)n) return 2;
    if (fread(due, sizeof *due, n, stdin) != (size_t)n) return 2;
    net_stream *stream = net_start(OPEN);
    if (stream == NULL) return 3;
    for (int64_t i = 0; i < n; i++) saturated &= due[i] == 0;
    net_prepare(stream);
    int64_t start = now(), spun = 0;
    for (int64_t i = 0; i < n; i++) {
        if (saturated && !head[3] && i - spun == BLOCK) {
            spin(due + spun, BLOCK, floor + spun);
            spun = i;
            net_answer(stream, xs + i * head[1], y);
            net_prepare(stream);
        }
        if (head[3]) for (long at = 0; at < EMPTIES; at += 64) waste[at]++;
        int64_t intended = saturated ? now() : start + due[i], sent;
        while ((sent = now()) < intended) {}
        net_answer(stream, xs + i * head[1], y);
        int64_t answered = now();
        net_prepare(stream);
        due[i] = answered - sent;
        between[i] = now() - answered;
        delays[i] = answered - intended;
    }
    fwrite(delays, sizeof *delays, n, stdout);
    fwrite(between, sizeof *between, n, stdout);
    spin(due + spun, n - spun, floor + spun);
    fwrite(floor, sizeof *floor, n, stdout);
    return waste[0] == 255 && y[0] == 0.123f;
}
"""


def compiler() -> str | None:
    """The C compiler of this host."""
    return shutil.which("cc") or shutil.which("gcc")


class InC:
    """A library and its measuring program, built once; to be used in a `with` block."""

    def __init__(self, program: Stateful, inputs: int, outputs: int):
        self.program, self.inputs, self.outputs = program, inputs, outputs

    def __enter__(self) -> InC:
        found = compiler()
        if found is None:
            raise ArgumentError("Measuring from C needs a C compiler: cc or gcc.")
        self._folder = TemporaryDirectory()
        folder = Path(self._folder.name)
        self.program.export(folder, "net")
        # TILEWRIGHT_FEATURES keeps to AVX2: the first of the levels inside.
        opened = "net_open()" if ENVIRONMENT.features is None else "net_open_level(0)"
        source = SOURCE.replace("EMPTIES", str(EMPTIES)).replace("OPEN", opened)
        source = source.replace("BLOCK", str(BLOCK))
        (folder / "bench.c").write_text(source)
        command = [found, "-O2", "bench.c", "libnet.a", "-lm", "-o", "bench"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ArgumentError(f"{found} does not build the program: {done.stderr.strip()}")
        self._binary = folder / "bench"
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def delays(
        self, xs: np.ndarray, times: Times, *, empty: bool = False
    ) -> tuple[Measured, np.ndarray]:
        """Of the ticks xs (ticks, inputs); and delays of a loop that only reads the clock."""
        head = np.array([len(times), self.inputs, self.outputs, empty], np.int64)
        given = head.tobytes() + np.ascontiguousarray(xs, np.float32).tobytes() + times.tobytes()
        done = subprocess.run([self._binary], input=given, capture_output=True, check=True)
        delays, between, floor = np.frombuffer(done.stdout, np.int64).reshape(3, -1)
        return Measured(delays, between), floor
