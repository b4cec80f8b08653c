"""The LLVM text of a call from Python: arguments checked, the program run, signals heard.

In: nothing. Out: the part of the support module (`native_text.py`) that knows Python. It calls six
functions of Python's stable C interface, holds Python's lock where it reads Python's objects, and
lets go of it while the program runs.

    void @tw_drive(job)                   run the program of a job; returns when all have ended
    ptr  @tw_apply(job, arguments, n)     a method of a Python int, the job's address: the same with
                                          its arguments, leaves and pieces; to 0, or 1, and nothing
                                          run, if a leaf is not exactly as expected; 2 if floats
                                          that should be finite are not
    void @tw_look(context)                on the calling thread: have Python look for signals

A job is a table of 64-bit words, `JOB`. `leaves` and `pieces` are tuples: NumPy arrays, and the
memory of the results. What is known of Python's objects stands in the table `expected`, which
`layout.py` writes: where a tuple has its items and an array its fields. Those are the ones that
NumPy's own header promises to every extension.

A signal's handler runs here as it would between two lines of Python: `tw_look` takes Python's lock,
in the middle of the program, and lets it call handlers. One that raises stops the program, and its
exception is that of the call, once all workers have ended.
"""

from __future__ import annotations

JOB = (
    "context",  # pointer to the context
    "gang",  # pointer to the gang's lines; only read when there is more than one worker
    "function",  # the program
    "running",  # 1 while it runs
    "control",  # pointer to all that is set to zero before a run
    "control_bytes",
    "filled",  # pointer to i64, set to `count` before a run
    "count",
    "expected",  # pointer: Python's layout, then what each leaf must be (`layout.py`)
    "leaves",  # how many
    "inputs",  # pointer to their places in the program's table of inputs
    "results",  # how many
    "places",  # pointer to (piece, byte) of each result
    "outputs",  # pointer to the program's table of outputs
    "shifts",  # pointer to i64: filled with the byte of its piece where each result begins
    "line",  # bytes, a power of two: a piece's results are placed from a multiple of it on
)
"""Names of a job's words, in order."""

WORDS = {name: str(index) for index, name in enumerate(JOB)}
PYTHON = (
    *("PyEval_SaveThread", "PyEval_RestoreThread", "PyErr_CheckSignals", "PyErr_Occurred"),
    *("PyLong_AsVoidPtr", "PyLong_FromLong"),
)

TEXT = """
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare i32 @PyErr_CheckSignals()
declare ptr @PyErr_Occurred()
declare ptr @PyLong_AsVoidPtr(ptr)
declare ptr @PyLong_FromLong(i64)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)

define internal void @tw_look(ptr %context) nounwind {
entry:$leave_mode
  %word_at = getelementptr i64, ptr %context, i64 $cancel
  %stop = load ptr, ptr %word_at, align 8
  %asked = getelementptr i8, ptr %stop, i64 1
  store atomic i8 0, ptr %asked seq_cst, align 1
  %thread_at = getelementptr i64, ptr %context, i64 $thread
  %thread = load ptr, ptr %thread_at, align 8
  call void @PyEval_RestoreThread(ptr %thread)
  %raised = call i32 @PyErr_CheckSignals()
  %fine = icmp eq i32 %raised, 0
  br i1 %fine, label %on, label %end
end:
  store atomic i8 1, ptr %stop seq_cst, align 1
  br label %on
on:
  %same = call ptr @PyEval_SaveThread()
  $enter_mode_again
  ret void
}

define void @tw_drive(ptr %job) nounwind {
entry:
  %context = load ptr, ptr %job, align 8
  %gang_at = getelementptr i64, ptr %job, i64 $job_gang
  %gang = load ptr, ptr %gang_at, align 8
  %function_at = getelementptr i64, ptr %job, i64 $job_function
  %function = load ptr, ptr %function_at, align 8
  %running = getelementptr i64, ptr %job, i64 $job_running
  %workers_at = getelementptr i64, ptr %context, i64 $workers
  %workers = load i64, ptr %workers_at, align 8
  %others = sub i64 %workers, 1
  %shared = icmp sgt i64 %others, 0
  %thread_at = getelementptr i64, ptr %context, i64 $thread
  %thread = call ptr @PyEval_SaveThread()
  store ptr %thread, ptr %thread_at, align 8
  store atomic i64 1, ptr %running seq_cst, align 8
  br i1 %shared, label %post, label %work
post:
  call void @tw_post(ptr %gang, ptr %function, ptr %context, i64 1, i64 %others)
  br label %work
work:
  %status = call i32 @tw_call(ptr %function, ptr %context, i64 0)
  br i1 %shared, label %wait, label %leave
wait:
  %spin_at = getelementptr i64, ptr %gang, i64 2
  %spin = load i64, ptr %spin_at, align 8
  %over = call i32 @tw_wait(ptr %gang, i64 20000000, i64 %spin)
  %done = icmp eq i32 %over, 1
  br i1 %done, label %leave, label %still
still:
  %cancelled = call i32 @tw_cancelled(ptr %context, i64 0)
  br label %wait
leave:
  store atomic i64 0, ptr %running seq_cst, align 8
  call void @PyEval_RestoreThread(ptr %thread)
  ret void
}

define ptr @tw_apply(ptr %self, ptr %arguments, i64 %count) nounwind {
entry:
  %job = call ptr @PyLong_AsVoidPtr(ptr %self)
  %leaves = load ptr, ptr %arguments, align 8
  %pieces_at = getelementptr ptr, ptr %arguments, i64 1
  %pieces = load ptr, ptr %pieces_at, align 8
  %refused = call i64 @apply(ptr %job, ptr %leaves, ptr %pieces)
  %raised = call ptr @PyErr_Occurred()
  %fine = icmp eq ptr %raised, null
  br i1 %fine, label %told, label %thrown
told:
  %result = call ptr @PyLong_FromLong(i64 %refused)
  ret ptr %result
thrown:
  ret ptr null
}

define internal i64 @apply(ptr %job, ptr %leaves, ptr %pieces) nounwind {
entry:
  %expected_at = getelementptr i64, ptr %job, i64 $job_expected
  %expected = load ptr, ptr %expected_at, align 8
  %array_type = load ptr, ptr %expected, align 8
  %items_at = getelementptr i64, ptr %expected, i64 1
  %items = load i64, ptr %items_at, align 8
  %head_at = getelementptr i64, ptr %expected, i64 2
  %head = load i64, ptr %head_at, align 8
  %first_kind = getelementptr i64, ptr %expected, i64 3
  %type_byte = sub i64 %head, 8
  %given = getelementptr i8, ptr %leaves, i64 %items
  %leaves_at = getelementptr i64, ptr %job, i64 $job_leaves
  %leaf_count = load i64, ptr %leaves_at, align 8
  %inputs_at = getelementptr i64, ptr %job, i64 $job_inputs
  %inputs = load ptr, ptr %inputs_at, align 8
  br label %leaf
leaf:
  %i = phi i64 [ 0, %entry ], [ %i_next, %next_leaf ]
  %kind = phi ptr [ %first_kind, %entry ], [ %kind_next, %next_leaf ]
  %more = icmp slt i64 %i, %leaf_count
  br i1 %more, label %read, label %memory
read:
  %object_at = getelementptr ptr, ptr %given, i64 %i
  %object = load ptr, ptr %object_at, align 8
  %type_at = getelementptr i8, ptr %object, i64 %type_byte
  %type = load ptr, ptr %type_at, align 8
  %is_array = icmp eq ptr %type, %array_type
  br i1 %is_array, label %array, label %refuse
array:
  %data_at = getelementptr i8, ptr %object, i64 %head
  %data = load ptr, ptr %data_at, align 8
  %rank_at = getelementptr i8, ptr %data_at, i64 8
  %rank = load i32, ptr %rank_at, align 4
  %shape_at = getelementptr i8, ptr %data_at, i64 16
  %shape = load ptr, ptr %shape_at, align 8
  %dtype_at = getelementptr i8, ptr %data_at, i64 40
  %dtype = load i64, ptr %dtype_at, align 8
  %flags_at = getelementptr i8, ptr %data_at, i64 48
  %flags = load i32, ptr %flags_at, align 4
  ; 0x101: contiguous in C's order, and aligned
  %wanted_flags = and i32 %flags, 257
  %is_plain = icmp eq i32 %wanted_flags, 257
  %wanted_dtype = load i64, ptr %kind, align 8
  %same_dtype = icmp eq i64 %dtype, %wanted_dtype
  %wanted_rank_at = getelementptr i64, ptr %kind, i64 1
  %wanted_rank = load i64, ptr %wanted_rank_at, align 8
  %wide_rank = sext i32 %rank to i64
  %same_rank = icmp eq i64 %wide_rank, %wanted_rank
  %likely = and i1 %is_plain, %same_dtype
  %alike = and i1 %likely, %same_rank
  %floats_at = getelementptr i64, ptr %kind, i64 2
  %floats = load i64, ptr %floats_at, align 8
  %wanted_shape = getelementptr i64, ptr %kind, i64 3
  br i1 %alike, label %length, label %refuse
length:
  %d = phi i64 [ 0, %array ], [ %d_next, %compare ]
  %inside = icmp slt i64 %d, %wanted_rank
  br i1 %inside, label %compare, label %fits
compare:
  %n_at = getelementptr i64, ptr %shape, i64 %d
  %n = load i64, ptr %n_at, align 8
  %wanted_n_at = getelementptr i64, ptr %wanted_shape, i64 %d
  %wanted_n = load i64, ptr %wanted_n_at, align 8
  %same_n = icmp eq i64 %n, %wanted_n
  %d_next = add i64 %d, 1
  br i1 %same_n, label %length, label %refuse
fits:
  %input = getelementptr ptr, ptr %inputs, i64 %i
  store ptr %data, ptr %input, align 8
  %kind_next = getelementptr i64, ptr %wanted_shape, i64 %wanted_rank
  %i_next = add i64 %i, 1
  br label %look
look:
  ; no exponent is all ones
  %f = phi i64 [ 0, %fits ], [ %f_next, %see ]
  %bad = phi i1 [ false, %fits ], [ %bad_next, %see ]
  %unseen = icmp slt i64 %f, %floats
  br i1 %unseen, label %see, label %seen
see:
  %float_at = getelementptr i32, ptr %data, i64 %f
  %float = load i32, ptr %float_at, align 4
  %exponent = and i32 %float, 2139095040
  %is_bad = icmp eq i32 %exponent, 2139095040
  %bad_next = or i1 %bad, %is_bad
  %f_next = add i64 %f, 1
  br label %look
seen:
  br i1 %bad, label %gap, label %next_leaf
next_leaf:
  br label %leaf
gap:
  ret i64 2
refuse:
  ret i64 1
memory:
  %raw = getelementptr i8, ptr %pieces, i64 %items
  %results_at = getelementptr i64, ptr %job, i64 $job_results
  %result_count = load i64, ptr %results_at, align 8
  %places_at = getelementptr i64, ptr %job, i64 $job_places
  %places = load ptr, ptr %places_at, align 8
  %outputs_at = getelementptr i64, ptr %job, i64 $job_outputs
  %outputs = load ptr, ptr %outputs_at, align 8
  %shifts_at = getelementptr i64, ptr %job, i64 $job_shifts
  %shifts = load ptr, ptr %shifts_at, align 8
  %line_at = getelementptr i64, ptr %job, i64 $job_line
  %line_bytes = load i64, ptr %line_at, align 8
  %within = sub i64 %line_bytes, 1
  %mask = sub i64 0, %line_bytes
  br label %result
result:
  %k = phi i64 [ 0, %memory ], [ %k_next, %place ]
  %another = icmp slt i64 %k, %result_count
  br i1 %another, label %place, label %ready
place:
  %twice = shl i64 %k, 1
  %place_at = getelementptr i64, ptr %places, i64 %twice
  %piece = load i64, ptr %place_at, align 8
  %byte_at = getelementptr i64, ptr %place_at, i64 1
  %byte = load i64, ptr %byte_at, align 8
  %memory_at = getelementptr ptr, ptr %raw, i64 %piece
  %holder = load ptr, ptr %memory_at, align 8
  %start_at = getelementptr i8, ptr %holder, i64 %head
  %start = load i64, ptr %start_at, align 8
  %past = add i64 %start, %within
  %line = and i64 %past, %mask
  %address = add i64 %line, %byte
  %shift = sub i64 %address, %start
  %output = getelementptr i64, ptr %outputs, i64 %k
  store i64 %address, ptr %output, align 8
  %shift_at = getelementptr i64, ptr %shifts, i64 %k
  store i64 %shift, ptr %shift_at, align 8
  %k_next = add i64 %k, 1
  br label %result
ready:
  %control_at = getelementptr i64, ptr %job, i64 $job_control
  %control = load ptr, ptr %control_at, align 8
  %bytes_at = getelementptr i64, ptr %job, i64 $job_control_bytes
  %bytes = load i64, ptr %bytes_at, align 8
  call void @llvm.memset.p0.i64(ptr %control, i8 0, i64 %bytes, i1 false)
  %filled_at = getelementptr i64, ptr %job, i64 $job_filled
  %filled = load ptr, ptr %filled_at, align 8
  %count_at = getelementptr i64, ptr %job, i64 $job_count
  %count = load i64, ptr %count_at, align 8
  store i64 %count, ptr %filled, align 8
  call void @tw_drive(ptr %job)
  ret i64 0
}
"""
