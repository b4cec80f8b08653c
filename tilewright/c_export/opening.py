"""The LLVM text that chooses a level: the last one whose every bit of `cpuid` is set."""

from __future__ import annotations

from collections.abc import Sequence

from tilewright.c_export.inside import ABI, Inside, Names


def opening(names: Names, insides: Sequence[Inside]) -> str:
    """`open`, `open_level`, `level` and `abi`."""
    return _best(insides) + _opened(names)


def _best(insides: Sequence[Inside]) -> str:
    """The number of the best level that this processor has, -1 if it has none."""
    quad = "{ i32, i32, i32, i32 }"
    asm = 'asm sideeffect "cpuid", "={ax},={bx},={cx},={dx},{ax},{cx}"'
    checks = "\n".join(line for at, inside in enumerate(insides) for line in _check(at, inside))
    return f"""
define internal i32 @best() nounwind {{
entry:
  %r0 = call {quad} {asm}(i32 0, i32 0)
  %most = extractvalue {quad} %r0, 0
  %old = icmp ult i32 %most, 7
  br i1 %old, label %none, label %ask
ask:
  %r1 = call {quad} {asm}(i32 1, i32 0)
  %c1 = extractvalue {quad} %r1, 2
  %saves = and i32 %c1, 134217728
  %osxsave = icmp ne i32 %saves, 0
  br i1 %osxsave, label %known, label %none
known:
  %r7 = call {quad} {asm}(i32 7, i32 0)
  %b7 = extractvalue {quad} %r7, 1
  %c7 = extractvalue {quad} %r7, 2
  %r8 = call {quad} {asm}(i32 7, i32 1)
  %a7 = extractvalue {quad} %r8, 0
  %rx = call {quad} {asm}(i32 -2147483647, i32 0)
  %cx = extractvalue {quad} %rx, 2
  %xs = call i32 asm sideeffect "xgetbv", "={{ax}},{{cx}},~{{dx}}"(i32 0)
{checks}
  ret i32 %l{len(insides) - 1}n
none:
  ret i32 -1
}}
"""


def _check(number: int, inside: Inside) -> list[str]:
    """`%l<number>n` is the level's number if all its bits are set, else the best one below."""
    level, v = inside.level, f"l{number}"
    words = (("c1", level.one), ("b7", level.seven_b), ("c7", level.seven_c))
    words = (*words, ("cx", level.extended), ("xs", level.saved), ("a7", level.seven_a))
    lines = []
    for i, (word, mask) in enumerate(words):
        lines += [f"  %{v}a{i} = and i32 %{word}, {mask}"]
        lines += [f"  %{v}e{i} = icmp eq i32 %{v}a{i}, {mask}"]
    lines += [f"  %{v}s1 = and i1 %{v}e0, %{v}e1"]
    lines += [f"  %{v}s{i} = and i1 %{v}s{i - 1}, %{v}e{i}" for i in range(2, len(words))]
    below = "-1" if number == 0 else f"%l{number - 1}n"
    return [*lines, f"  %{v}n = select i1 %{v}s{len(words) - 1}, i32 {number}, i32 {below}"]


def _opened(names: Names) -> str:
    return f"""
define ptr @{names("open")}() nounwind {{
  %best = call i32 @best()
  %model = call ptr @{names("open_level")}(i32 %best)
  ret ptr %model
}}

define ptr @{names("open_level")}(i32 %level) nounwind {{
  %best = call i32 @best()
  %small = icmp sge i32 %level, 0
  %able = icmp sle i32 %level, %best
  %good = and i1 %small, %able
  %wide = sext i32 %level to i64
  %at = getelementptr i32, ptr @models, i64 %wide
  %model = select i1 %good, ptr %at, ptr null
  ret ptr %model
}}

define i32 @{names("level")}(ptr %model) nounwind {{
  %level = load i32, ptr %model
  ret i32 %level
}}

define i32 @{names("abi")}() nounwind {{ ret i32 {ABI} }}
"""
