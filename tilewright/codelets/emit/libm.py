"""Functions of the C library that emitted code may call; nothing else of it is ever linked.

`LIBM` are the symbols; `LIBM_NAME` is what an operation is called there (float32 has an `f`
behind). This file imports nothing, so that whoever links without LLVM reads it, too.
"""

LIBM_NAME = {
    "acos": "acos",
    "acosh": "acosh",
    "asin": "asin",
    "asinh": "asinh",
    "atan": "atan",
    "atan2": "atan2",
    "atanh": "atanh",
    "cbrt": "cbrt",
    "cos": "cos",
    "cosh": "cosh",
    "erf": "erf",
    "erfc": "erfc",
    "exp": "exp",
    "exp2": "exp2",
    "expm1": "expm1",
    "lgamma": "lgamma",
    "log": "log",
    "log1p": "log1p",
    "pow": "pow",
    "sin": "sin",
    "sinh": "sinh",
    "tan": "tan",
    "tanh": "tanh",
}

LIBM = tuple(name + end for name in LIBM_NAME.values() for end in ("", "f"))
