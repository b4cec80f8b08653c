"""Help from other threads: what a library of several tiles has beside one of one tile.

In: how many tiles a library is planned for. Out: the LLVM text of meeting at barriers and drawing
from queues together, of joining, and of a call that others help with; C text of a gang of threads,
to be compiled beside the library by whoever wants one.

The library itself starts no thread: a stream is told of its helpers (`join`), and before a program
runs it posts the job to them, does its own share as worker 0, and waits for theirs. The gang in C
is one way to be that helper. Threads poll; where the gang may sleep, they poll for some time first.
"""

from __future__ import annotations

from tilewright.c_export.stream import HEAD
from tilewright.codegen.context import FIELDS
from tilewright.codegen.meeting import barrier_text

ALONE = f"""
; One worker: nobody to wait for.
define hidden i32 @tw_barrier(ptr %context, i64 %worker) nounwind {{ ret i32 0 }}
define hidden i64 @tw_next(ptr %context, i64 %line) nounwind {{
  %at = getelementptr i64, ptr %context, i64 {FIELDS["queues"]}
  %queues = load ptr, ptr %at
  %byte = shl i64 %line, 6
  %queue = getelementptr i8, ptr %queues, i64 %byte
  %number = load i64, ptr %queue
  %next = add i64 %number, 1
  store i64 %next, ptr %queue
  ret i64 %number
}}
define internal i32 @together(ptr %stream, ptr %context, ptr %function) nounwind {{
  %result = call i32 %function(ptr %context, i64 0)
  ret i32 %result
}}
"""

_WAIT = """
wait:
  %turns = phi i64 [0, %arrive], [%more, %still], [0, %give_way]
  %seen = load atomic i32, ptr %generation_at acquire, align 4
  %same = icmp eq i32 %seen, %generation
  br i1 %same, label %still, label %let_go
still:
  call void @llvm.x86.sse2.pause()
  %more = add i64 %turns, 1
  %patient = icmp ult i64 %more, %patience
  br i1 %patient, label %wait, label %give_way
give_way:
  %given = call i32 @sched_yield()
  br label %wait
"""
_BARRIER = barrier_text("hidden", _WAIT, ("wait",), "  br label %let_go", ("free",), "  ret i32 0")
"""Who has waited long gives way, unless he is to poll."""

TOGETHER = f"""
declare void @llvm.x86.sse2.pause()
declare i32 @sched_yield()

define hidden i64 @tw_next(ptr %context, i64 %line) nounwind {{
  %at = getelementptr i64, ptr %context, i64 {FIELDS["queues"]}
  %queues = load ptr, ptr %at
  %byte = shl i64 %line, 6
  %queue = getelementptr i8, ptr %queues, i64 %byte
  %number = atomicrmw add ptr %queue, i64 1 acq_rel
  ret i64 %number
}}

{_BARRIER}
; Worker 0 is the caller; the helpers are told before, and waited for behind.
define internal i32 @together(ptr %stream, ptr %context, ptr %function) nounwind {{
entry:
  %workers_at = getelementptr i8, ptr %stream, i64 {HEAD["workers"]}
  %workers = load i64, ptr %workers_at
  %patience_at = getelementptr i8, ptr %stream, i64 {HEAD["patience"]}
  %patience = load i64, ptr %patience_at
  %own_at = getelementptr i64, ptr %context, i64 {FIELDS["workers"]}
  store i64 %workers, ptr %own_at
  %spin_at = getelementptr i64, ptr %context, i64 {FIELDS["spin"]}
  store i64 %patience, ptr %spin_at
  %alone = icmp eq i64 %workers, 1
  br i1 %alone, label %by_itself, label %helped
by_itself:
  %result = call i32 %function(ptr %context, i64 0)
  ret i32 %result
helped:
  %helper_at = getelementptr i8, ptr %stream, i64 {HEAD["helper"]}
  %helper = load ptr, ptr %helper_at
  %post_at = getelementptr i8, ptr %stream, i64 {HEAD["post"]}
  %post = load ptr, ptr %post_at
  %wait_at = getelementptr i8, ptr %stream, i64 {HEAD["wait"]}
  %wait = load ptr, ptr %wait_at
  call void %post(ptr %helper, ptr %function, ptr %context)
  %own = call i32 %function(ptr %context, i64 0)
  call void %wait(ptr %helper)
  ret i32 %own
}}
"""

_JOIN = """
; helpers: {{ i64 workers, i64 patience, ptr helper, ptr post, ptr wait }}, or null for none.
define i32 @{join}(ptr %s, ptr %helpers) nounwind {{
entry:
  %none = icmp eq ptr %helpers, null
  br i1 %none, label %alone, label %look
alone:
  %one_at = getelementptr i8, ptr %s, i64 {workers}
  store i64 1, ptr %one_at
  ret i32 0
look:
  %count = load i64, ptr %helpers
  %least = icmp sge i64 %count, 1
  %most = icmp sle i64 %count, {tiles}
  %fits = and i1 %least, %most
  br i1 %fits, label %take, label %refuse
refuse:
  ret i32 1
take:
  %to = getelementptr i8, ptr %s, i64 {workers}
  call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %helpers, i64 40, i1 false)
  ret i32 0
}}

define i32 @{tiles_name}() nounwind {{ ret i32 {tiles} }}
"""


def joining(join: str, tiles_name: str, tiles: int) -> str:
    """What tells a stream of its helpers, and how many workers a call may have."""
    return _JOIN.format(join=join, tiles_name=tiles_name, tiles=tiles, workers=HEAD["workers"])


HEADER = """
/* Help: a call of a stream that has joined some is done by `workers` threads, at most {p}_tiles().
   Before a program runs, `post` is to have every worker from 1 to workers - 1 call
   run(context, worker) once, with denormals flushed (MXCSR 0x9FC0); `wait` returns when all have.
   A worker that waits for another inside a call gives way to other threads after `patience` turns;
   never, where it is INT64_MAX. {p}_gang below is such help. */
typedef struct {{
    int64_t workers, patience;
    void *helper;
    void (*post)(void *helper, int (*run)(void *context, int64_t worker), void *context);
    void (*wait)(void *helper);
}} {p}_help;
int {p}_tiles(void);

/* 0, or 1 for more workers than there are tiles: then nothing has changed. NULL: no help. */
int {p}_join({p}_stream *stream, const {p}_help *help);

/* In {p}_gang.c: threads called name-1, name-2, ... beside the caller's, pinned to cpus[0],
   cpus[1], ... (NULL: not pinned). Between calls they poll, or sleep after some 50 us if `polls`
   is 0: then a call wakes them through the system. A gang helps one call at a time. NULL where
   there is no memory, no such CPU or no thread to be had. Stop it after its streams. */
typedef struct {p}_gang {p}_gang;
{p}_gang *{p}_gang_start(const char *name, int threads, const int *cpus, int polls);
const {p}_help *{p}_gang_help(const {p}_gang *gang);
void {p}_gang_stop({p}_gang *gang);
"""

SOURCE = """/* Made by tilewright: threads that help with calls of NAME.h. Link with -pthread. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xmmintrin.h>

#include "NAME.h"

enum { PATIENCE = 1000, MODE = 0x9FC0 }; /* turns of a pause, 50 us or so; denormals are zero */

typedef struct {
    pthread_t thread;
    int number;
    NAME_gang *gang;
} worker;

struct NAME_gang {
    NAME_help help;
    int polls;
    int (*run)(void *context, int64_t worker);
    void *context;
    _Alignas(64) atomic_int job; /* its number */
    _Alignas(64) atomic_int left; /* workers that are at it */
    _Alignas(64) atomic_int asleep;
    _Alignas(64) worker workers[];
};

static void until_posted(NAME_gang *gang, int last) {
    for (long turns = 0; atomic_load(&gang->job) == last; turns++) {
        _mm_pause();
        if (gang->polls || turns < PATIENCE) continue;
        atomic_fetch_add(&gang->asleep, 1);
        syscall(SYS_futex, &gang->job, FUTEX_WAIT_PRIVATE, last, NULL, NULL, 0);
        atomic_fetch_sub(&gang->asleep, 1);
    }
}

static void *work(void *given) {
    worker *own = given;
    NAME_gang *gang = own->gang;
    _mm_setcsr(MODE);
    for (int last = 0;; last++) {
        until_posted(gang, last);
        if (gang->run == NULL) return NULL;
        gang->run(gang->context, own->number);
        atomic_fetch_sub(&gang->left, 1);
    }
}

static void post(void *helper, int (*run)(void *, int64_t), void *context) {
    NAME_gang *gang = helper;
    gang->run = run;
    gang->context = context;
    atomic_store(&gang->left, (int)gang->help.workers - 1);
    atomic_fetch_add(&gang->job, 1);
    if (atomic_load(&gang->asleep) > 0)
        syscall(SYS_futex, &gang->job, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static void wait_for_all(void *helper) {
    NAME_gang *gang = helper;
    for (long turns = 0; atomic_load(&gang->left) > 0; turns++) {
        _mm_pause();
        if (!gang->polls && turns >= PATIENCE) sched_yield();
    }
}

static void end(NAME_gang *gang, int started) {
    post(gang, NULL, NULL);
    for (int i = 0; i < started; i++) pthread_join(gang->workers[i].thread, NULL);
    free(gang);
}

static int begin(worker *own, const char *name, const int *cpu) {
    pthread_attr_t attributes;
    cpu_set_t set;
    char shown[16];
    CPU_ZERO(&set);
    if (cpu && (*cpu < 0 || *cpu >= CPU_SETSIZE)) return 1;
    if (cpu) CPU_SET(*cpu, &set);
    if (pthread_attr_init(&attributes)) return 1;
    int failed = cpu && pthread_attr_setaffinity_np(&attributes, sizeof set, &set);
    failed = failed || pthread_create(&own->thread, &attributes, work, own);
    pthread_attr_destroy(&attributes);
    if (failed) return 1;
    snprintf(shown, sizeof shown, "%.11s-%d", name, own->number);
    pthread_setname_np(own->thread, shown);
    return 0;
}

NAME_gang *NAME_gang_start(const char *name, int threads, const int *cpus, int polls) {
    if (threads < 0 || threads >= NAME_tiles()) return NULL;
    size_t size = sizeof(NAME_gang) + (threads + 1) * sizeof(worker);
    NAME_gang *gang = aligned_alloc(64, (size + 63) / 64 * 64);
    if (gang == NULL) return NULL;
    memset(gang, 0, size);
    int64_t patience = polls ? INT64_MAX : PATIENCE;
    gang->help = (NAME_help){threads + 1, patience, gang, post, wait_for_all};
    gang->polls = polls;
    for (int i = 0; i < threads; i++) {
        gang->workers[i].number = i + 1;
        gang->workers[i].gang = gang;
        if (begin(&gang->workers[i], name, cpus ? cpus + i : NULL)) {
            end(gang, i);
            return NULL;
        }
    }
    return gang;
}

const NAME_help *NAME_gang_help(const NAME_gang *gang) { return &gang->help; }

void NAME_gang_stop(NAME_gang *gang) { end(gang, (int)gang->help.workers - 1); }
"""


def header(prefix: str) -> str:
    """For C, of a library of several tiles."""
    return HEADER.format(p=prefix)


def source(prefix: str) -> str:
    """A gang of threads, in C11."""
    return SOURCE.replace("NAME", prefix)
