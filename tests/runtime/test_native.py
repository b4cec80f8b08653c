"""The support functions: barrier, floating-point mode, queue."""

import ctypes
import os
import platform
import threading
import time

import numpy as np
import pytest

from tests.runtime.programs import barriers, executable, field, pointers, program, squares
from tilewright.codegen.context import LINE, Context
from tilewright.codegen.host import compile_text
from tilewright.codegen.link import load
from tilewright.codegen.meeting import barrier_bytes
from tilewright.graph.ir import Type
from tilewright.machine.cpu import allowed_cpus, cpu_limit
from tilewright.runtime.gang import gang
from tilewright.runtime.memory import arena
from tilewright.runtime.native import support
from tilewright.runtime.native_text import CROWDED, LONG, text


def neighbours(start: np.ndarray, rounds: int) -> np.ndarray:
    numbers = start.copy()
    for _ in range(rounds):
        numbers = np.roll(numbers, -1, axis=0) + 3 * numbers
    return numbers


@pytest.mark.parametrize("workers, rounds", [(1, 3000), (2, 3000), (3, 300), (5, 300), (8, 50),
                                             (9, 50), (16, 50), (17, 50), (70, 10)])  # fmt: skip
def test_barrier_keeps_workers_in_step(workers, rounds, monkeypatch):
    """Also with more workers than CPUs, where waiting must give way to sleep."""
    monkeypatch.setattr("tilewright.runtime.executable.default_workers", lambda: workers)
    start = np.zeros((workers, 8), np.int64)
    start[:, 0] = np.arange(workers) + 1
    call = barriers(rounds, workers)
    assert call.workers == workers
    for _ in range(3):
        ends = call(start)[:, 0]
        np.testing.assert_array_equal(ends, neighbours(start, rounds)[:, 0])


@pytest.mark.parametrize("workers, meetings", [(1, 1), (2, 1), (4, 1), (5, 3), (16, 5), (17, 8)])
def test_meetings_of_a_barrier(workers, meetings):
    assert barrier_bytes(workers) == meetings * 4 * LINE


def test_a_missing_barrier_would_be_seen(monkeypatch):
    """The test above can fail: without its barriers the numbers differ."""
    monkeypatch.setattr("tilewright.runtime.executable.default_workers", lambda: 2)
    call, kind = barriers(3000, 2), Type("int64", (2, 8))
    broken = call.llvm.replace("call i32 @tw_barrier", "call i32 @idle")
    broken += "define internal i32 @idle(ptr %a, i64 %b) { ret i32 0 }\n"
    options = {"inputs": (kind,), "outputs": (kind,)}
    racing = executable(broken, **options, shared_work=True, tiles=2, loops=("rounds",))
    start = np.ones((2, 8), np.int64)
    expected = neighbours(start, 3000)
    assert any((racing(start) != expected)[:, 0].any() for _ in range(20))


def test_a_barrier_wakes_those_who_sleep_at_it(monkeypatch):
    """More workers than CPUs sleep at once; unwoken, each barrier would take its 20 ms."""
    monkeypatch.setattr("tilewright.runtime.executable.default_workers", lambda: 5)
    monkeypatch.setattr("tilewright.runtime.frame.spin_for", lambda workers: 0)
    call, start = barriers(100, 5), np.ones((5, 8), np.int64)
    seconds = []
    for _ in range(3):
        before = time.monotonic()
        call(start)
        seconds.append(time.monotonic() - before)
    assert min(seconds) < 200 * 0.02 / 4


class TestPatience:
    """Two threads at a barrier of their own: one comes, the other after a while."""

    TICKS = 1_000_000

    @pytest.fixture
    def meet(self):
        lines, address = arena(4 * LINE)
        lines[:] = 0
        stop, stop_address = arena(LINE)
        stop[:] = 0
        context = Context(workers=2, barrier=address, cancel=stop_address, spin=self.TICKS)
        barrier = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_int64)(
            support()["tw_barrier"]
        )

        def meet(late: float) -> int:
            first = threading.Thread(target=barrier, args=(ctypes.addressof(context), 1))
            first.start()
            while lines[:4].view(np.int32)[0] == 0:
                time.sleep(1e-4)
            time.sleep(late)
            assert barrier(ctypes.addressof(context), 0) == 0
            first.join()
            return context.crowded

        meet.context = context
        return meet

    def test_after_a_long_wait_so_many_are_short(self, meet):
        assert meet(0.02) == CROWDED
        meet.context.spin = 10**12  # whatever comes now is sooner
        assert [meet(0) for _ in range(3)] == [CROWDED - 1, CROWDED - 2, CROWDED - 3]
        meet.context.spin = self.TICKS
        assert meet(0.02) == CROWDED

    def test_then_they_may_be_long_again(self, meet):
        meet.context.crowded, meet.context.spin = 1, 10**12
        assert [meet(0) for _ in range(3)] == [0, 0, 0]

    def test_who_is_patient_spins_and_who_is_not_sleeps(self, meet):
        """By the processor time of 0.1 s of waiting."""
        taken = []
        for crowded, spin in ((0, 10**12), (CROWDED, LONG * self.TICKS // 100)):
            meet.context.crowded, meet.context.spin = crowded, spin
            start = time.process_time()
            meet(0.1)
            taken.append(time.process_time() - start)
        assert taken[0] > 3 * taken[1]


@pytest.mark.skipif(
    not 2 <= len(allowed_cpus()) <= cpu_limit(), reason="one CPU only, or nobody is pinned"
)
def test_a_worker_makes_way_for_the_caller(monkeypatch):
    """It is told where the caller is, and goes elsewhere."""
    monkeypatch.setattr("tilewright.runtime.executable.default_workers", lambda: 2)
    call, start, first = barriers(10, 2), np.ones((2, 8), np.int64), gang()
    call(start)
    thread, spare = first._threads[1].native_id, first._spare
    assert thread is not None
    (place,) = (cpu for cpu, number in first._places.items() if number == thread)
    for here, there in ((spare, place), (place, spare), (spare, place)):
        monkeypatch.setattr("tilewright.runtime.gang._here", lambda here=here: here)
        call(start)
        assert os.sched_getaffinity(thread) == {there}
        assert first._places[there] == thread
    assert first._spare == spare


def test_the_queue_gives_every_number_once():
    x = np.arange(4000, dtype=np.float32).reshape(1000, 4)
    np.testing.assert_array_equal(squares(1000)(x), x * x)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="MXCSR is a register of x86")
class TestControlRegister:
    READ = """
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)
define i32 @get() {
  %at = alloca i32, align 4
  call void @llvm.x86.sse.stmxcsr(ptr %at)
  %value = load i32, ptr %at, align 4
  ret i32 %value
}
define void @set(i32 %value) {
  %at = alloca i32, align 4
  store i32 %value, ptr %at, align 4
  call void @llvm.x86.sse.ldmxcsr(ptr %at)
  ret void
}
"""

    def test_set_within_and_restored_after(self):
        code = load(compile_text(self.READ), ("get", "set"))
        get = ctypes.CFUNCTYPE(ctypes.c_uint32)(code["get"])
        set_ = ctypes.CFUNCTYPE(None, ctypes.c_uint32)(code["set"])
        inside = program(f"""{pointers(0, 1)}
  call void @llvm.x86.sse.stmxcsr(ptr %out0)
  ret i32 0""")
        inside += "declare void @llvm.x86.sse.stmxcsr(ptr)\n"
        call = executable(inside, inputs=(), outputs=(Type("uint32", ()),))
        before = get()
        try:
            set_(0x3F80)  # round down: a program must not inherit it
            assert call() == 0x9FC0
            assert get() & ~0x3F == 0x3F80
        finally:
            set_(before)

    def test_denormals_are_flushed(self):
        body = f"""{pointers(1, 1)}
  %x = load float, ptr %in0, align 4
  %y = fmul float %x, 5.0e-01
  store float %y, ptr %out0, align 4
  ret i32 0"""
        scalar = Type("float32", ())
        call = executable(program(body), inputs=(scalar,), outputs=(scalar,))
        tiny = np.finfo(np.float32).tiny
        assert call(tiny) == 0
        assert tiny / np.float32(2) > 0


def test_context_fields_arrive():
    body = f"""{pointers(0, 1)}{field("workers", "i64")}{field("ring_slots", "i64")}
  store i64 %workers, ptr %out0, align 8
  %second = getelementptr i64, ptr %out0, i64 1
  store i64 %ring_slots, ptr %second, align 8
  ret i32 0"""
    call = executable(program(body), inputs=(), outputs=(Type("int64", (2,)),))
    assert call().tolist() == [1, 1]


def test_arenas_are_private_and_aligned():
    body = f"""{pointers(0, 1)}{field("shared")}{field("tile_arenas")}
{field("tile_arena_stride", "i64")}
  %a = ptrtoint ptr %shared to i64
  %b = ptrtoint ptr %tile_arenas to i64
  store i64 %a, ptr %out0, align 8
  %second = getelementptr i64, ptr %out0, i64 1
  store i64 %b, ptr %second, align 8
  %third = getelementptr i64, ptr %out0, i64 2
  store i64 %tile_arena_stride, ptr %third, align 8
  ret i32 0"""
    options = {"inputs": (), "outputs": (Type("int64", (3,)),)}
    call = executable(program(body), **options, shared_bytes=1000, tile_bytes=5000, tiles=3)
    shared, tiles, stride = call().tolist()
    assert shared % 64 == tiles % 64 == stride % 64 == 0
    assert stride >= 5000
    assert not shared < tiles < shared + 1000


def test_text_for_arm_is_written_too():
    assert "fpcr" in text("aarch64")
    with pytest.raises(KeyError):
        text("sparc")
