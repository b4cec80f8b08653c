"""Libraries of several tiles: threads that help, pinned, polling or asleep; the same bits."""

import os
import shutil
import subprocess
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import tilewright
from tests.c_export.test_export import CC, build, needs_cc
from tests.sequence.streams import INPUTS, model, ticks
from tilewright.c_export.levels import LEVELS
from tilewright.errors import ArgumentError
from tilewright.machine.cpu import allowed_cpus

ROWS, WIDTH = 384, 96
SOURCE = """
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "net.h"

static void threads(void) { /* names and CPUs of all but the first, on standard error */
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *entry; (entry = readdir(tasks));) {
        char path[300], line[300], name[300] = "", cpus[300] = "";
        snprintf(path, sizeof path, "/proc/self/task/%%s/status", entry->d_name);
        FILE *file = fopen(path, "r");
        if (entry->d_name[0] == '.' || file == NULL) continue;
        while (fgets(line, sizeof line, file)) {
            sscanf(line, "Name: %%s", name);
            sscanf(line, "Cpus_allowed_list: %%s", cpus);
        }
        fclose(file);
        if (strncmp(name, "help-", 5) == 0) fprintf(stderr, "%%s %%s\\n", name, cpus);
    }
    closedir(tasks);
}

int main(void) {
    static float xs[%(rows)d * %(width)d], ys[%(rows)d * (%(width)d + 1)];
    const int cpus[] = {%(cpus)s}, none[] = {-1};
    if (fread(xs, sizeof xs, 1, stdin) != 1) return 2;
    net_stream *stream = net_start(net_open());
    if (net_tiles() != %(most)d + 1) return 3;
    if (net_gang_start("help", %(most)d + 1, NULL, 0) != NULL) return 3;
    if (net_gang_start("help", 1, none, 0) != NULL) return 4;
    for (int turn = 0; turn < 5; turn++) { /* alone, two asleep, two that poll, one, alone again */
        int helpers = (const int[]){0, %(most)d, %(most)d, 1, 0}[turn];
        net_gang *gang = net_gang_start("help", helpers, turn == 2 ? NULL : cpus, turn == 2);
        if (gang == NULL || net_join(stream, net_gang_help(gang)) != 0) return 5;
        for (int i = 0; i < %(turns)d; i++) {
            if (i == 1) nanosleep(&(struct timespec){0, 3000000}, NULL);
            net_both(stream, xs, ys, ys + %(rows)d * %(width)d);
        }
        fwrite(ys, sizeof ys, 1, stdout);
        if (turn == 1) threads();
        net_gang_stop(gang);
        net_join(stream, NULL);
    }
    net_help many = {%(most)d + 2, 0, NULL, NULL, NULL};
    if (net_join(stream, &many) != 1) return 6;
    net_both(stream, xs, ys, ys + %(rows)d * %(width)d); /* still alone */
    net_stop(stream);
    return 0;
}
"""


def shared() -> tilewright.Executable:
    """Products that are dealt out, a barrier behind each, and a map."""

    def both(x, w):
        x = lax.fori_loop(0, 3, lambda _, x: jnp.tanh(x @ w), x)
        return x, lax.map(lambda row: jnp.sin(row * row.sum()).sum(), x)

    w = np.random.default_rng(0).normal(size=(WIDTH, WIDTH)).astype(np.float32)
    return tilewright.compile(both, np.zeros((ROWS, WIDTH), np.float32), w).bind(w=w)


@needs_cc
@pytest.mark.parametrize("helpers", [2, 5])
def test_a_gang_helps_with_the_same_bits(tmp_path, helpers):
    """And each ends without a trace. Six meet at a barrier in fours, and those again."""
    exported, xs = shared(), np.random.default_rng(1).normal(size=(ROWS, WIDTH))
    xs = xs.astype(np.float32)
    exported.export(tmp_path, "net", tiles=helpers + 1)
    cpu = min(allowed_cpus())
    cpus = ", ".join([str(cpu)] * helpers)
    values = {"rows": ROWS, "width": WIDTH, "cpus": cpus, "most": helpers, "turns": 30}
    program = build(tmp_path, SOURCE % values, "net_gang.c", "libnet.a", "-pthread")
    done = subprocess.run(
        [program], input=xs.tobytes(), capture_output=True, check=True, timeout=120
    )
    assert done.stdout == b"".join(array.tobytes() for array in exported(xs)) * 5
    names = [f"help-{number + 1}" for number in range(helpers)]
    assert sorted(done.stderr.decode().split()) == sorted([*names, *[str(cpu)] * helpers])


def test_work_is_shared_where_it_is_planned_to_be(tmp_path):
    """A library of one tile has no word of threads; one of three has a program of several."""
    window, stages = model("packed").window(7, 4), shared().compiled.stages
    for level in LEVELS:
        assert "call i32 @tw_barrier" in stages.on(level.machine(3)).emitted.module.text()
    window.export(tmp_path / "one", "net")
    window.export(tmp_path / "three", "net", tiles=3)
    nm = shutil.which("nm")
    if nm is not None:
        for folder, there in (("one", False), ("three", True)):
            symbols = subprocess.run(
                [nm, tmp_path / folder / "net.o"], capture_output=True, text=True, check=True
            ).stdout
            assert ("net_join" in symbols) == ("sched_yield" in symbols) == there
    assert "gang" not in (tmp_path / "one" / "net.h").read_text()
    assert not (tmp_path / "one" / "net_gang.c").exists()
    wrong: list[Any] = [0, 65, True, 1.5]
    for bad in wrong:
        with pytest.raises(ArgumentError, match=r"^tiles must be a whole number from 1 to 64, not"):
            window.export(tmp_path / "none", "net", tiles=bad)
    assert not (tmp_path / "none").exists()


@needs_cc
def test_a_stream_with_help_whose_calls_ask_the_system_nothing(tmp_path):
    """A gang that polls: the caller may be inside strict seccomp."""
    net, xs = model("packed"), ticks(20)
    net.stream(4).export(tmp_path, "net", tiles=2)
    source = """
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "net.h"
int main(void) {
    static float xs[20][4 * %d], ys[20][4];
    if (read(0, xs, sizeof xs) != (ssize_t)sizeof xs) return 2;
    net_stream *stream = net_start(net_open());
    net_gang *gang = net_gang_start("help", 1, NULL, 1);
    if (net_join(stream, net_gang_help(gang))) return 3;
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0) return 4;
    for (int t = 0; t < 20; t++) {
        net_answer(stream, xs[t], ys[t]);
        net_prepare(stream);
    }
    write(1, ys, sizeof ys);
    syscall(SYS_exit, 0);
}
"""
    program = build(tmp_path, source % INPUTS, "net_gang.c", "libnet.a", "-pthread")
    both = np.stack([xs, xs + 1, xs * 2, -xs], axis=1)
    with subprocess.Popen(
        [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(both.tobytes())
            found = process.stdout.read(20 * 4 * 4)
        finally:
            process.kill()  # the thread that polls outlives the one that has left
    stream = net.stream(4)
    assert found == b"".join(stream(x).tobytes() for x in both)


@pytest.mark.skipif(None in map(shutil.which, ("cmake", "g++")), reason="no cmake or no g++ here")
def test_the_gang_through_cmake(tmp_path):
    model("packed").window(2, 3).export(tmp_path / "net", "net", tiles=2)
    (tmp_path / "CMakeLists.txt").write_text("""
cmake_minimum_required(VERSION 3.13)
project(mine C CXX)
add_subdirectory(net)
add_executable(mine main.cpp)
target_link_libraries(mine PRIVATE net_gang)
""")
    (tmp_path / "main.cpp").write_text("""
#include "net.h"
int main() {
    net_gang *gang = net_gang_start("net", 1, nullptr, 0);
    net_stream *stream = net_start(net_open());
    float xs[2 * 3 * 3] = {}, ys[2];
    int result = net_join(stream, net_gang_help(gang)) + net_window(stream, xs, ys);
    net_stop(stream);
    net_gang_stop(gang);
    return result;
}
""")
    for command in (["cmake", "-B", "build"], ["cmake", "--build", "build"], ["build/mine"]):
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False,
            env=os.environ | {"CC": str(CC)},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
