"""The LLVM text of the support functions: barrier, queue, ring, and a worker's main loop.

In: an architecture. Out: the module's text, with that of calls from Python (`call_text.py`); what
its functions promise stands in `native.py` and in `codegen/context.py`. Pieces that differ between
processors are filled in from a table.
"""

from __future__ import annotations

from string import Template

from tilewright.codegen.context import FIELDS
from tilewright.codegen.meeting import barrier_text
from tilewright.runtime.call_text import TEXT as CALL_TEXT
from tilewright.runtime.call_text import WORDS

LONG = 16
"""So many times the gang's spin a worker spins at a barrier, nearly a millisecond: where a core at
rest takes half of one to wake, as virtual ones do, who slept at one barrier would be late, and
slept for, at the next."""
CROWDED = 64
"""Waits at barriers that are short again after one that took longer than that: then others have the
cores, and who spins takes from who is waited for."""

_X86 = {
    "syscall_futex": "202",
    "pause": "call void @llvm.x86.sse2.pause()",
    "clock": "call i64 @llvm.readcyclecounter()",
    "declare": """
declare void @llvm.x86.sse2.pause()
declare i64 @llvm.readcyclecounter()
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)""",
    # 0x9FC0: exceptions masked, round to nearest even, flush results and operands.
    "enter": """
  %old = alloca i32, align 4
  %new = alloca i32, align 4
  call void @llvm.x86.sse.stmxcsr(ptr %old)
  store i32 40896, ptr %new, align 4
  call void @llvm.x86.sse.ldmxcsr(ptr %new)""",
    "leave": "call void @llvm.x86.sse.ldmxcsr(ptr %old)",
    # 0x1F80: what a process starts with.
    "leave_mode": """
  %mode = alloca i32, align 4
  %plain_mode = alloca i32, align 4
  call void @llvm.x86.sse.stmxcsr(ptr %mode)
  store i32 8064, ptr %plain_mode, align 4
  call void @llvm.x86.sse.ldmxcsr(ptr %plain_mode)""",
    "enter_mode_again": "call void @llvm.x86.sse.ldmxcsr(ptr %mode)",
}
_ARM = {
    "syscall_futex": "98",
    "pause": 'call void asm sideeffect "isb", "~{memory}"()',
    "clock": 'call i64 asm sideeffect "mrs $0, cntvct_el0", "=r"()',
    "declare": "",
    # FPCR bit 24: flush; everything else 0: round to nearest even, no traps.
    "enter": """
  %old = call i64 asm sideeffect "mrs $0, fpcr", "=r"()
  call void asm sideeffect "msr fpcr, $0", "r"(i64 16777216)""",
    "leave": 'call void asm sideeffect "msr fpcr, $0", "r"(i64 %old)',
    "leave_mode": """
  %mode = call i64 asm sideeffect "mrs $0, fpcr", "=r"()
  call void asm sideeffect "msr fpcr, $0", "r"(i64 0)""",
    "enter_mode_again": 'call void asm sideeffect "msr fpcr, $0", "r"(i64 %mode)',
}
_WAIT = """
wait:
  %crowded_at = getelementptr i64, ptr %context, i64 $crowded
  %crowded = load atomic i64, ptr %crowded_at monotonic, align 8
  %calm = icmp eq i64 %crowded, 0
  %short = udiv i64 %patience, $long
  %spin = select i1 %calm, i64 %patience, i64 %short
  %since = $clock
  %released = call i1 @spin(ptr %generation_at, i32 %generation, i1 0, i64 %spin)
  br i1 %released, label %waited, label %give_way
give_way:
  %one_more = atomicrmw add ptr %sleepers, i32 1 seq_cst
  br label %sleeping
sleeping:
  %seen_again = load atomic i32, ptr %generation_at seq_cst, align 4
  %same_again = icmp eq i32 %seen_again, %generation
  br i1 %same_again, label %cancelled_test, label %awake
cancelled_test:
  %cancelled = call i32 @tw_cancelled(ptr %context, i64 %worker)
  %go_on = icmp eq i32 %cancelled, 0
  br i1 %go_on, label %sleep, label %awake
sleep:
  call void @sleep_on(ptr %generation_at, i32 %generation, i64 20000000)
  br label %sleeping
awake:
  %one_less = atomicrmw sub ptr %sleepers, i32 1 seq_cst
  br label %waited
waited:
  %until = $clock
  %taken = sub i64 %until, %since
  %too_long = icmp ugt i64 %taken, %patience
  %one_fewer = sub i64 %crowded, 1
  %left = select i1 %calm, i64 0, i64 %one_fewer
  %next = select i1 %too_long, i64 $crowd, i64 %left
  %same_next = icmp eq i64 %next, %crowded
  br i1 %same_next, label %let_go, label %note
note:
  store atomic i64 %next, ptr %crowded_at monotonic, align 8
  br label %let_go
"""
_FREE = """
  %asleep = load atomic i32, ptr %asleep_at seq_cst, align 4
  %nobody = icmp eq i32 %asleep, 0
  br i1 %nobody, label %let_go, label %wake
wake:
  call void @wake(ptr %word)
  br label %let_go
"""
_LEAVE = """
  %result = call i32 @tw_cancelled(ptr %context, i64 %worker)
  ret i32 %result
"""
_TEXT = Template(
    CALL_TEXT
    + """
declare i64 @syscall(i64, ...)
declare i32 @usleep(i32)
$declare

; Sleep while the word is `expected`, for `nanoseconds` at most; wake all sleepers on it.
define internal void @sleep_on(ptr %word, i32 %expected, i64 %nanoseconds) nounwind {
entry:
  %time = alloca [2 x i64], align 8
  %seconds = udiv i64 %nanoseconds, 1000000000
  %rest = urem i64 %nanoseconds, 1000000000
  %second = getelementptr i64, ptr %time, i64 1
  store i64 %seconds, ptr %time, align 8
  store i64 %rest, ptr %second, align 8
  call i64 (i64, ...) @syscall(i64 $syscall_futex, ptr %word, i64 128, i32 %expected,
                               ptr %time, ptr null, i64 0)
  ret void
}

define internal void @wake(ptr %word) nounwind {
entry:
  call i64 (i64, ...) @syscall(i64 $syscall_futex, ptr %word, i64 129, i64 2147483647,
                               ptr null, ptr null, i64 0)
  ret void
}

; Spin until the word is `value` (`equal`) or is so no longer; 0 if `patience` ticks pass before.
define internal i1 @spin(ptr %word, i32 %value, i1 %equal, i64 %patience) nounwind {
entry:
  %start = $clock
  br label %test
test:
  %seen = load atomic i32, ptr %word acquire, align 4
  %same = icmp eq i32 %seen, %value
  %met = icmp eq i1 %same, %equal
  br i1 %met, label %leave, label %still
still:
  $pause
  %now = $clock
  %passed = sub i64 %now, %start
  %patient = icmp ult i64 %passed, %patience
  br i1 %patient, label %test, label %leave
leave:
  ret i1 %met
}

define i32 @tw_cancelled(ptr %context, i64 %worker) nounwind {
entry:
  %at = getelementptr i64, ptr %context, i64 $cancel
  %word = load ptr, ptr %at, align 8
  %asked_at = getelementptr i8, ptr %word, i64 1
  %asked = load atomic i8, ptr %asked_at acquire, align 1
  %is_asked = icmp ne i8 %asked, 0
  %is_caller = icmp eq i64 %worker, 0
  %must_look = and i1 %is_asked, %is_caller
  br i1 %must_look, label %look, label %answer
look:
  call void @tw_look(ptr %context)
  br label %answer
answer:
  %stop = load atomic i8, ptr %word acquire, align 1
  %result = zext i8 %stop to i32
  ret i32 %result
}

define i64 @tw_next(ptr %context, i64 %line) nounwind {
entry:
  %at = getelementptr i64, ptr %context, i64 $queues
  %queues = load ptr, ptr %at, align 8
  %byte = shl i64 %line, 6
  %queue = getelementptr i8, ptr %queues, i64 %byte
  %number = atomicrmw add ptr %queue, i64 1 acq_rel
  ret i64 %number
}

$barrier_function
define i32 @tw_wait_slot(ptr %context, i64 %instance) nounwind {
entry:
  %slots_at = getelementptr i64, ptr %context, i64 $ring_slots
  %slots = load i64, ptr %slots_at, align 8
  %drained_at = getelementptr i64, ptr %context, i64 $drained
  %drained = load ptr, ptr %drained_at, align 8
  %filled_at = getelementptr i64, ptr %context, i64 $filled
  %filled = load ptr, ptr %filled_at, align 8
  br label %test
test:
  %low = load atomic i64, ptr %drained acquire, align 8
  %high = load atomic i64, ptr %filled acquire, align 8
  %limit = add i64 %low, %slots
  %free = icmp slt i64 %instance, %limit
  %there = icmp slt i64 %instance, %high
  %ready = and i1 %free, %there
  %cancelled = call i32 @tw_cancelled(ptr %context, i64 -1)
  %stop = icmp ne i32 %cancelled, 0
  %leave = or i1 %ready, %stop
  br i1 %leave, label %done, label %wait
wait:
  %slept = call i32 @usleep(i32 100)
  br label %test
done:
  ret i32 %cancelled
}

define void @tw_finished(ptr %context, i64 %instance) nounwind {
entry:
  %slots_at = getelementptr i64, ptr %context, i64 $ring_slots
  %slots = load i64, ptr %slots_at, align 8
  %done_at = getelementptr i64, ptr %context, i64 $done
  %done = load ptr, ptr %done_at, align 8
  %slot = urem i64 %instance, %slots
  %flag = getelementptr i8, ptr %done, i64 %slot
  store atomic i8 1, ptr %flag release, align 1
  %completed_at = getelementptr i64, ptr %context, i64 $completed
  %completed = load ptr, ptr %completed_at, align 8
  %before = atomicrmw add ptr %completed, i64 1 acq_rel
  ret void
}

define internal i32 @tw_call(ptr %function, ptr %context, i64 %worker) nounwind {
entry:$enter
  %result = call i32 %function(ptr %context, i64 %worker)
  $leave
  ret i32 %result
}

; A thread of the gang: waits for mail, does the job, until the job's function is null.
define void @tw_worker(ptr %gang, i64 %worker) nounwind {
entry:
  %line = add i64 %worker, 2
  %byte = shl i64 %line, 6
  %mail = getelementptr i8, ptr %gang, i64 %byte
  %asleep = getelementptr i8, ptr %mail, i64 4
  %remaining = getelementptr i8, ptr %gang, i64 64
  %caller_asleep = getelementptr i8, ptr %gang, i64 68
  %context_at = getelementptr i64, ptr %gang, i64 1
  %spin_at = getelementptr i64, ptr %gang, i64 2
  br label %next
next:
  %last = phi i32 [ 0, %entry ], [ %job, %ended ], [ %job, %wake_caller ]
  %spin = load i64, ptr %spin_at, align 8
  %posted = call i1 @spin(ptr %mail, i32 %last, i1 0, i64 %spin)
  br i1 %posted, label %work, label %give_way
give_way:
  store atomic i32 1, ptr %asleep seq_cst, align 4
  br label %sleeping
sleeping:
  %seen_again = load atomic i32, ptr %mail seq_cst, align 4
  %none_again = icmp eq i32 %seen_again, %last
  br i1 %none_again, label %sleep, label %awake
sleep:
  call void @sleep_on(ptr %mail, i32 %last, i64 60000000000)
  br label %sleeping
awake:
  store atomic i32 0, ptr %asleep monotonic, align 4
  br label %work
work:
  %job = load atomic i32, ptr %mail acquire, align 4
  %function = load ptr, ptr %gang, align 8
  %quit = icmp eq ptr %function, null
  br i1 %quit, label %leave, label %call
call:
  %context = load ptr, ptr %context_at, align 8
  %status = call i32 @tw_call(ptr %function, ptr %context, i64 %worker)
  br label %ended
ended:
  %before = atomicrmw sub ptr %remaining, i32 1 seq_cst
  %caller = load atomic i32, ptr %caller_asleep seq_cst, align 4
  %over = icmp eq i32 %before, 1
  %waits = icmp ne i32 %caller, 0
  %ring = and i1 %over, %waits
  br i1 %ring, label %wake_caller, label %next
wake_caller:
  call void @wake(ptr %remaining)
  br label %next
leave:
  ret void
}

; Give a job to workers first .. first + count - 1.
define void @tw_post(ptr %gang, ptr %function, ptr %context, i64 %first, i64 %count) nounwind {
entry:
  %context_at = getelementptr i64, ptr %gang, i64 1
  %remaining = getelementptr i8, ptr %gang, i64 64
  store ptr %function, ptr %gang, align 8
  store ptr %context, ptr %context_at, align 8
  %few = trunc i64 %count to i32
  store atomic i32 %few, ptr %remaining seq_cst, align 4
  br label %test
test:
  %i = phi i64 [ 0, %entry ], [ %j, %posted ], [ %j, %ring ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %post, label %done
post:
  %worker = add i64 %first, %i
  %line = add i64 %worker, 2
  %byte = shl i64 %line, 6
  %mail = getelementptr i8, ptr %gang, i64 %byte
  %asleep_at = getelementptr i8, ptr %mail, i64 4
  %j = add i64 %i, 1
  %old = atomicrmw add ptr %mail, i32 1 seq_cst
  br label %posted
posted:
  %asleep = load atomic i32, ptr %asleep_at seq_cst, align 4
  %awake = icmp eq i32 %asleep, 0
  br i1 %awake, label %test, label %ring
ring:
  call void @wake(ptr %mail)
  br label %test
done:
  ret void
}

; Wait until the job has ended, or `nanoseconds` have passed; 1 when it has ended.
define internal i32 @tw_wait(ptr %gang, i64 %nanoseconds, i64 %spin) nounwind {
entry:
  %remaining = getelementptr i8, ptr %gang, i64 64
  %asleep = getelementptr i8, ptr %gang, i64 68
  %over = call i1 @spin(ptr %remaining, i32 0, i1 1, i64 %spin)
  br i1 %over, label %ended, label %give_way
give_way:
  store atomic i32 1, ptr %asleep seq_cst, align 4
  %left = load atomic i32, ptr %remaining seq_cst, align 4
  %none = icmp eq i32 %left, 0
  br i1 %none, label %awake, label %sleep
sleep:
  call void @sleep_on(ptr %remaining, i32 %left, i64 %nanoseconds)
  br label %awake
awake:
  store atomic i32 0, ptr %asleep seq_cst, align 4
  %final = load atomic i32, ptr %remaining acquire, align 4
  %zero = icmp eq i32 %final, 0
  br i1 %zero, label %ended, label %unfinished
ended:
  ret i32 1
unfinished:
  ret i32 0
}
"""
)


def text(architecture: str) -> str:
    """The module for "x86_64" or "aarch64"."""
    pieces = {"x86_64": _X86, "aarch64": _ARM}[architecture]
    fields = {name: str(index) for name, index in FIELDS.items()}
    jobs = {f"job_{name}": at for name, at in WORDS.items()}
    clock = pieces["clock"]
    wait = Template(_WAIT).substitute(fields, clock=clock, long=LONG, crowd=CROWDED)
    barrier = barrier_text("", wait, ("waited", "note"), _FREE, ("free", "wake"), _LEAVE)
    return _TEXT.substitute(fields | jobs | pieces, barrier_function=barrier)
