"""The C text beside a library: a header, an example, and a file for CMake.

In: names, how the program is called. Out: text, to be read by people first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod

from tilewright.c_export.inside import ABI, Names
from tilewright.frozen import frozen
from tilewright.graph.ir import Type

C_TYPES = {
    "float32": "float",
    "float64": "double",
    "float16": "uint16_t",
    "bfloat16": "uint16_t",
    "bool": "uint8_t",
    **{f"{sign}int{bits}": f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
_RESERVED = frozenset(
    "auto break case char const continue default do double else enum extern float for goto if "
    "inline int long register restrict return short signed sizeof static struct switch typedef "
    "union unsigned void volatile while bool class delete new this true false stream model".split()
)


@frozen
class Given:
    """An array of a call: its name in C, and its type."""

    name: str
    type: Type

    @property
    def count(self) -> int:
        return prod(self.type.shape)

    @property
    def shown(self) -> str:
        """As C has it: `float x[1 * 16]`."""
        sizes = " * ".join(map(str, self.type.shape)) or "1"
        return f"{C_TYPES[self.type.dtype]} {self.name}[{sizes}]"


def identifiers(names: Sequence[str]) -> list[str]:
    """Names for C, each another one."""
    found: list[str] = []
    for number, name in enumerate(names):
        plain = re.sub(r"\W+", "_", name).strip("_")
        plain = re.sub("_+", "_", plain)
        if not plain or plain[0].isdigit() or plain in _RESERVED:
            plain = f"array_{plain}" if plain else f"array_{number}"
        found.append(plain if plain not in found else f"{plain}_{number}")
    return found


def header(
    names: Names,
    inputs: Sequence[Given],
    outputs: Sequence[Given],
    inside: Sequence[str],
    gaps: str | None,
    help_: str = "",
) -> str:
    """The header, for C and C++; `inside` are the levels, by name, `gaps` is the policy of a step
    with a state, `help_` what is said of other threads."""
    p, guard = names.prefix, f"{names.prefix.upper()}_H"
    levels = ", ".join(f"{number} {name}" for number, name in enumerate(inside))
    arrays = [f"const {given.shown}" for given in inputs] + [given.shown for given in outputs]
    call = ",\n    ".join([f"{p}_stream *stream", *arrays])
    state = _STATE.format(p=p, call=call) if gaps else ""
    whole = _WHOLE_STEP[gaps] if gaps else _WHOLE
    return f"""/* Made by tilewright. Calls allocate nothing, lock nothing, ask the system nothing.

   A model may be used by any number of threads; a stream by one at a time. Arrays are row-major
   and do not overlap; results are the same bits as in Python, on every level. */
#ifndef {guard}
#define {guard}

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

#define {p.upper()}_ABI {ABI}

typedef struct {p}_model {p}_model;
typedef struct {p}_stream {p}_stream;

/* {p.upper()}_ABI of the library that is linked. */
int {p}_abi(void);

/* The best level that this host has ({levels}), or NULL where it has none. */
const {p}_model *{p}_open(void);
const {p}_model *{p}_open_level(int level);
int {p}_level(const {p}_model *model);

/* A stream's memory, all that it will ever take; NULL where there is none. */
{p}_stream *{p}_start(const {p}_model *model);
void {p}_stop({p}_stream *stream);

/* {whole} */
int {names.whole}(
    {call});
{state}{help_}
#ifdef __cplusplus
}}
#endif
#endif
"""


_WHOLE = "Run it: 0."
_WHOLE_STEP = {
    "refuse": "The whole step: 0, or 1 where a number is not finite: then nothing has changed.",
    "hold": "The whole step: 0. What is not finite is as it was in the tick before; 1 where it\n"
    "   never was: then nothing has changed.",
    "pass": "The whole step: 0. Numbers that are not finite pass.",
}
_STATE = """
/* The step in two halves, the same bits: `answer` does what hangs on the tick, `prepare`, between
   ticks, what does not. An answer that nobody prepared prepares first, and is counted as late. */
int {p}_answer(
    {call});
int {p}_prepare({p}_stream *stream);
int64_t {p}_late(const {p}_stream *stream);

/* The state: as it began; to and from {p}_state_bytes() bytes. `restore` gives 0, or 1 for bytes
   that are of another program or have other weights: then nothing has changed. */
void {p}_reset({p}_stream *stream);
size_t {p}_state_bytes(void);
void {p}_save({p}_stream *stream, void *to);
int {p}_restore({p}_stream *stream, const void *from);
"""


def example(
    names: Names, inputs: Sequence[Given], outputs: Sequence[Given], has_state: bool
) -> str:
    """A program that reads ticks or windows from standard input and writes what is answered."""
    p = names.prefix
    statics = "\n".join(f"static {given.shown};" for given in (*inputs, *outputs))
    call = ", ".join(["stream", *(given.name for given in (*inputs, *outputs))])
    reading = " &&\n           ".join(
        f"fread({given.name}, sizeof {given.name}, 1, stdin) == 1" for given in inputs
    )
    verb = f"{p}_answer" if has_state else names.whole
    after = f"\n        {p}_prepare(stream); /* before the next tick comes */" if has_state else ""
    writing = "\n".join(
        f"        fwrite({given.name}, sizeof {given.name}, 1, stdout);" for given in outputs
    )
    return f"""/* Reads arrays from standard input as they lie in memory, writes the answers. */
#include <stdio.h>

#include "{p}.h"

{statics}

int main(void) {{
    if ({p}_abi() != {p.upper()}_ABI) {{
        fputs("The header and the library are of two versions.\\n", stderr);
        return 1;
    }}
    {p}_stream *stream = {p}_start({p}_open());
    if (stream == NULL) {{
        fputs("This host has no AVX2, or no memory.\\n", stderr);
        return 1;
    }}
    while ({reading or "1"}) {{
        if ({verb}({call}) != 0) {{
            fputs("A number is not finite: this tick is left out.\\n", stderr);
            continue;
        }}
{writing}{after}
        fflush(stdout);
    }}
    {p}_stop(stream);
    return 0;
}}
"""


def cmake(names: Names, tiles: int = 1) -> str:
    """`add_subdirectory` it, then `target_link_libraries(yours PRIVATE <name>)`; or `<name>_gang`,
    which has the threads, too."""
    p = names.prefix
    gang = _GANG.format(p=p) if tiles > 1 else ""
    return f"""cmake_minimum_required(VERSION 3.13)
project({p} C)

add_library({p} STATIC IMPORTED GLOBAL)
set_target_properties({p} PROPERTIES
  IMPORTED_LOCATION "${{CMAKE_CURRENT_SOURCE_DIR}}/lib{p}.a"
  INTERFACE_INCLUDE_DIRECTORIES "${{CMAKE_CURRENT_SOURCE_DIR}}"
  INTERFACE_LINK_LIBRARIES m)

{gang}add_executable({p}_example "${{CMAKE_CURRENT_SOURCE_DIR}}/{p}_example.c")
target_link_libraries({p}_example PRIVATE {p})
"""


_GANG = """find_package(Threads REQUIRED)
add_library({p}_gang STATIC "${{CMAKE_CURRENT_SOURCE_DIR}}/{p}_gang.c")
target_link_libraries({p}_gang PUBLIC {p} Threads::Threads)

"""
