"""Libraries for C: built, linked and run; the same bits; nothing asked of the system."""

import shutil
import subprocess
from pathlib import Path

import jax
import numpy as np
import pytest
from jax import lax

import tilewright
from tests.sequence.streams import INPUTS, model, ticks
from tilewright.c_export.levels import LEVELS
from tilewright.errors import ArgumentError
from tilewright.machine import host
from tilewright.machine.host import host_names

CC = shutil.which("cc") or shutil.which("gcc")
needs_cc = pytest.mark.skipif(CC is None, reason="no C compiler (cc or gcc) on this host")

COUNTED = ("malloc", "calloc", "realloc", "aligned_alloc", "free")
WRAPPED = """
static long calls;
void *__real_malloc(size_t); void *__wrap_malloc(size_t n) { calls++; return __real_malloc(n); }
void *__real_calloc(size_t, size_t);
void *__wrap_calloc(size_t n, size_t m) { calls++; return __real_calloc(n, m); }
void *__real_realloc(void *, size_t);
void *__wrap_realloc(void *p, size_t n) { calls++; return __real_realloc(p, n); }
void *__real_aligned_alloc(size_t, size_t);
void *__wrap_aligned_alloc(size_t a, size_t n) { calls++; return __real_aligned_alloc(a, n); }
void __real_free(void *); void __wrap_free(void *p) { calls++; __real_free(p); }
"""
HARNESS = """
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "net.h"
%(wrapped)s
static float xs[%(count)d][%(inputs)d], ys[%(levels)d][%(count)d];
int main(void) {
    net_stream *streams[%(levels)d];
    int levels = 0;
    if (read(0, xs, sizeof xs) != (ssize_t)sizeof xs) return 2;
    while (levels < %(levels)d && net_open_level(levels)) {
        streams[levels] = net_start(net_open_level(levels));
        levels++;
    }
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0) return 3;
    long before = calls;
    for (int level = 0; level < levels; level++) {
        for (int turn = 0; turn < %(turns)d; turn++) {
            net_reset(streams[level]);
            for (int t = 0; t < %(count)d; t++) {
                if (t %% 3 == 1) net_step(streams[level], xs[t], &ys[level][t]);
                else net_answer(streams[level], xs[t], &ys[level][t]);
                if (t %% 3 == 0) net_prepare(streams[level]);
            }
        }
    }
    int result[2] = {levels, (int)(calls - before)};
    write(1, result, sizeof result);
    write(1, ys, sizeof ys);
    syscall(SYS_exit, 0);
}
"""


def build(folder: Path, source: str, *options: str) -> Path:
    (folder / "test.c").write_text(source)
    warnings = ("-Wall", "-Wextra", "-Wno-unused-result", "-Werror")
    command = [str(CC), "-O1", *warnings, "test.c", *options, "-lm", "-o", "test"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "test"


@needs_cc
@pytest.mark.parametrize("precision", ["float32", "bfloat16x16", "int8", "int8x8"])
def test_a_hundred_thousand_ticks_inside_strict_seccomp(tmp_path, precision):
    """Any system call but read and write would kill it; every level gives Python's bits."""
    net, count = model("packed"), 50
    net.stream(precision=precision).program.export(tmp_path, "net")
    values = {"count": count, "inputs": INPUTS, "levels": len(LEVELS), "turns": 2000}
    wrap = [f"-Wl,--wrap={name}" for name in COUNTED]
    program = build(tmp_path, HARNESS % (values | {"wrapped": WRAPPED}), "libnet.a", *wrap)
    xs = ticks(count)
    done = subprocess.run([program], input=xs.tobytes(), capture_output=True, check=True)
    levels, calls = np.frombuffer(done.stdout, np.int32, 2)
    assert calls == 0
    assert levels >= 1
    inside = (tmp_path / "net.h").read_text()
    assert [level.name in inside for level in LEVELS] == [True] * 3 + ["bfloat" in precision]
    able = [set(level.names) <= set(host_names()) for level in LEVELS]
    assert sum(able[: 3 + ("bfloat" in precision)]) <= levels <= 3 + ("bfloat" in precision)
    ys = np.frombuffer(done.stdout, np.float32, offset=8).reshape(len(LEVELS), count)
    stream = net.stream(precision=precision)
    wanted = np.concatenate([np.ravel(stream(x)) for x in xs])
    for level in range(levels):
        assert ys[level].tobytes() == wanted.tobytes(), LEVELS[level].name


@needs_cc
def test_the_example_is_built_and_run(tmp_path):
    net, xs = model("packed"), ticks(6)
    window = net.window(1, 3)
    window.export(tmp_path, "net")
    command = [str(CC), "-Wall", "-Werror", "net_example.c", "net.o", "-lm", "-o", "example"]
    subprocess.run(command, cwd=tmp_path, check=True)
    both = xs.reshape(2, 1, 3, INPUTS)
    done = subprocess.run(
        [tmp_path / "example"], input=both.tobytes(), capture_output=True, check=True
    )
    assert done.stdout == b"".join(window(x).tobytes() for x in both)
    assert len((tmp_path / "net_example.c").read_text().splitlines()) <= 40


@needs_cc
def test_the_example_answers_no_tick_that_is_refused(tmp_path):
    net, xs = model("packed"), ticks(4)
    net.stream().export(tmp_path, "net")
    command = [str(CC), "-Wall", "-Werror", "net_example.c", "net.o", "-lm", "-o", "example"]
    subprocess.run(command, cwd=tmp_path, check=True)
    given = np.insert(xs, 2, np.nan, axis=0).tobytes()
    done = subprocess.run([tmp_path / "example"], input=given, capture_output=True, check=True)
    stream = net.stream()
    assert done.stdout == b"".join(stream(x).tobytes() for x in xs)
    assert done.stderr.count(b"this tick is left out") == 1
    assert len((tmp_path / "net_example.c").read_text().splitlines()) <= 40


@needs_cc
def test_a_state_is_saved_and_restored(tmp_path):
    """In a program that two libraries are linked into."""
    net, xs = model("packed"), ticks(4)
    net.stream().program.export(tmp_path, "net")
    net.window(1, 4).export(tmp_path, "whole")
    source = """
#include <stdio.h>
#include <stdlib.h>
#include "net.h"
#include "whole.h"
int main(void) {
    static float xs[4 * %d], y[1], z[1];
    if (fread(xs, sizeof xs, 1, stdin) != 1) return 2;
    net_stream *one = net_start(net_open()), *two = net_start(net_open());
    whole_stream *all = whole_start(whole_open());
    void *kept = malloc(net_state_bytes());
    net_answer(one, xs + 0, y);
    net_step(one, xs + 3, y);
    net_save(one, kept);
    net_restore(two, kept);
    for (int t = 2; t < 4; t++) net_step(two, xs + 3 * t, y);
    whole_window(all, xs + 0, z);
    fwrite(y, sizeof y, 1, stdout);
    fwrite(z, sizeof z, 1, stdout);
    xs[0] = 0.0f / 0.0f;
    net_save(two, kept);
    int refused = net_step(two, xs + 0, y);
    net_step(two, xs + 9, y);
    net_restore(one, kept);
    net_step(one, xs + 9, z);
    free(kept);
    net_stop(one);
    net_stop(two);
    whole_stop(all);
    return !(refused == 1 && y[0] == z[0] && net_late(one) == 1 && whole_start(NULL) == NULL);
}
"""
    program = build(tmp_path, source % INPUTS, "libnet.a", "libwhole.a")
    done = subprocess.run([program], input=xs.tobytes(), capture_output=True, check=True)
    stepped, whole = np.frombuffer(done.stdout, np.float32)
    assert stepped == whole == np.ravel(net.window(1, 4)(xs[None].reshape(1, 4, INPUTS)))[0]


GAPS = """
#include <math.h>
#include <stdlib.h>
#include "net.h"
#include "other.h"
int main(void) {
    static float xs[6 * %(inputs)d], y[1];
    if (fread(xs, sizeof xs, 1, stdin) != 1) return 2;
    net_stream *one = net_start(net_open()), *two = net_start(net_open());
    other_stream *other = other_start(other_open());
    void *kept = malloc(net_state_bytes()), *foreign = malloc(other_state_bytes());
    int results[6], restored;
    for (int t = 0; t < 6; t++) {
        results[t] = t %% 2 ? net_step(one, xs + t * %(inputs)d, y)
                            : net_answer(one, xs + t * %(inputs)d, y);
        fwrite(y, sizeof y, 1, stdout);
        if (t == 3) net_save(one, kept);
    }
    other_save(other, foreign);
    restored = net_restore(two, foreign) == 1 && other_restore(other, kept) == 1;
    if (!restored || net_restore(two, kept) != 0) return 3;
    for (int t = 4; t < 6; t++) net_step(two, xs + t * %(inputs)d, y);
    fwrite(y, sizeof y, 1, stdout);
    fwrite(results, sizeof results, 1, stdout);
    return 0;
}
"""


@needs_cc
@pytest.mark.parametrize("nan", ["hold", "pass"])
def test_ticks_with_gaps_are_as_in_python_and_foreign_states_are_refused(tmp_path, nan):
    """The last values are part of the state; a state knows its net, its weights, its precision."""
    net, xs = model("packed"), ticks(6)
    xs[0, 1] = xs[2, 0] = np.nan
    xs[4, 2] = -np.inf
    stream = net.stream(nan=nan)
    stream.export(tmp_path, "net")
    net.stream(precision="bfloat16").export(tmp_path, "other")
    assert "net_restore" in (header := (tmp_path / "net.h").read_text())
    assert ("as it was in the tick before" in header) == (nan == "hold")
    source = "#include <stdio.h>\n" + GAPS % {"inputs": INPUTS}
    program = build(tmp_path, source, "libnet.a", "libother.a")
    done = subprocess.run([program], input=xs.tobytes(), capture_output=True, check=True)
    found, results = np.frombuffer(done.stdout[:-24], np.float32), done.stdout[-24:]
    refused = np.frombuffer(results, np.int32).tolist()
    assert refused == ([1, 0, 0, 0, 0, 0] if nan == "hold" else [0] * 6)
    wanted = [np.zeros(1, np.float32)]
    for x in xs:
        try:
            wanted.append(np.ravel(stream(x[None])))
        except ArgumentError:
            wanted.append(wanted[-1])
    assert found.tobytes() == np.concatenate([*wanted[1:], wanted[-1]]).tobytes()


MAIN = """
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>
#include "net.h"

constexpr int inputs = INPUTS, count = 7;

int main() {
    std::vector<float> xs(count * inputs), ys(2 * count);
    if (std::fread(xs.data(), sizeof(float), xs.size(), stdin) != xs.size()) return 2;
    const net_model *model = net_open();
    auto answer = [&](int thread) {
        std::unique_ptr<net_stream, decltype(&net_stop)> stream(net_start(model), net_stop);
        for (int t = 0; t < count; t++) {
            net_answer(stream.get(), &xs[t * inputs], &ys[thread * count + t]);
            if (thread) net_prepare(stream.get());
        }
    };
    std::thread one(answer, 0), two(answer, 1);
    one.join();
    two.join();
    std::fwrite(ys.data(), sizeof(float), ys.size(), stdout);
}
"""


@pytest.mark.skipif(None in map(shutil.which, ("cmake", "g++")), reason="no cmake or no g++ here")
def test_a_sliding_window_from_cpp_through_cmake(tmp_path):
    """One library in a project of somebody else's, two threads with a stream each."""
    slide, xs = model("packed").slide(3), ticks(7)
    slide.export(tmp_path / "net", "net")
    (tmp_path / "CMakeLists.txt").write_text("""
cmake_minimum_required(VERSION 3.13)
project(mine CXX)
set(CMAKE_CXX_STANDARD 17)
find_package(Threads REQUIRED)
add_subdirectory(net)
add_executable(mine main.cpp)
target_compile_options(mine PRIVATE -Wall -Wextra -Werror)
target_link_libraries(mine PRIVATE net Threads::Threads)
""")
    (tmp_path / "main.cpp").write_text(MAIN.replace("INPUTS", str(INPUTS)))
    for command in (["cmake", "-B", "build"], ["cmake", "--build", "build"]):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    done = subprocess.run(
        [tmp_path / "build" / "mine"], input=xs.tobytes(), capture_output=True, check=True
    )
    wanted = np.concatenate([np.ravel(slide(x[None])) for x in xs])
    assert done.stdout == wanted.tobytes() * 2


@needs_cc
def test_any_program(tmp_path):
    """Loops, maps, several arrays of several types, results of any shape, nothing bound."""

    def chain(x, n, w):
        def turn(_, x):
            return jax.numpy.tanh(x @ w)

        mapped = lax.map(lambda row: row * row.sum(), x)
        return {"found": lax.fori_loop(0, n, turn, x), "mapped": mapped, "n": n + 1}

    x = np.random.default_rng(0).normal(size=(5, 24)).astype(np.float32)
    w = np.random.default_rng(1).normal(size=(24, 24)).astype(np.float32)
    program = tilewright.compile(chain, x, np.int32(7), w)
    program.bind(w=w).export(tmp_path, "any")
    text = (tmp_path / "any.h").read_text()
    for line in ("const float x[5 * 24]", "const int32_t n[1]", "float result_found[5 * 24]"):
        assert line in text
    source = """
#include <stdio.h>
#include "any.h"
int main(void) {
    static float x[120], found[120], mapped[120];
    static int32_t n[1], more[1];
    if (fread(x, sizeof x, 1, stdin) != 1) return 2;
    any_stream *stream = any_start(any_open());
    for (n[0] = 3; n[0] <= 7; n[0]++) any_chain(stream, x, n, found, mapped, more);
    fwrite(found, sizeof found, 1, stdout);
    fwrite(mapped, sizeof mapped, 1, stdout);
    return more[0] != 8;
}
"""
    done = subprocess.run(
        [build(tmp_path, source, "libany.a")], input=x.tobytes(), capture_output=True, check=True
    )
    wanted = program(x, np.int32(7), w)
    assert done.stdout == wanted["found"].tobytes() + wanted["mapped"].tobytes()


@needs_cc
def test_denormals_are_flushed_inside_and_nowhere_else(tmp_path):
    """They would cost ten times as much; the caller's own arithmetic keeps them."""

    def halved(x):
        return x * 0.5

    program = tilewright.compile(halved, np.zeros(3, np.float32))
    program.export(tmp_path, "half")
    source = """
#include <immintrin.h>
#include "half.h"
int main(void) {
    volatile float own = 1e-39f;
    float x[3] = {1e-40f, 1.0f, -1e-39f}, y[3];
    half_stream *stream = half_start(half_open());
    unsigned before = _mm_getcsr();
    half_halved(stream, x, y);
    if (y[0] != 0.0f || y[1] != 0.5f || y[2] != 0.0f) return 1;
    return _mm_getcsr() != before || own * 0.5f == 0.0f;
}
"""
    subprocess.run([build(tmp_path, source, "libhalf.a")], check=True)
    np.testing.assert_array_equal(program(np.array([1e-40, 1, -1e-39], np.float32)), [0, 0.5, 0])


def test_without_a_linker_there_is_no_shared_object(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    program = tilewright.compile(lambda x: x + 1, np.zeros(3, np.float32))
    found = program.export(tmp_path, "plus")
    assert "no linker" in found.note
    names = {"plus.h", "plus.o", "libplus.a", "plus_example.c", "CMakeLists.txt"}
    assert {path.name for path in found.files} == names == {p.name for p in tmp_path.iterdir()}


def test_a_file_that_was_loaded_is_exported_to_the_same_bytes(tmp_path):
    window = model("packed").window(1, 3)
    window.save(tmp_path / "net.tw")
    window.export(tmp_path / "one", "net")
    tilewright.load(tmp_path / "net.tw").export(tmp_path / "two", "net")
    for name in ("net.o", "net.h", "libnet.a"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_names_and_policies_that_there_are_not(tmp_path):
    program = tilewright.compile(lambda x: x + 1, np.zeros(3, np.float32))
    for name in ("", "9net", "my net", "net-1", "_net"):
        with pytest.raises(ArgumentError, match="name must be letters, digits and underscores"):
            program.export(tmp_path / "out", name)
    with pytest.raises(ArgumentError, match=r"libm\.a is a library of C itself"):
        program.export(tmp_path / "out", "m")
    with pytest.raises(ArgumentError, match="nan must be one of refuse, hold, pass, not 'drop'"):
        program.export(tmp_path / "out", "net", nan="drop")
    assert not (tmp_path / "out").exists()


def test_a_level_is_planned_for_alike_wherever_it_is(monkeypatch):
    """Whatever the memories and CPUs of the host that exports."""
    here = [level.machine(3) for level in LEVELS]
    monkeypatch.setattr(host, "cpu_count", lambda: 64)
    monkeypatch.setattr(host, "cache_bytes", lambda level, cpu: 1 << (15 + 3 * level))
    monkeypatch.setattr(host, "memory_bytes", lambda: 1 << 40)
    assert [level.machine(3) for level in LEVELS] == here
