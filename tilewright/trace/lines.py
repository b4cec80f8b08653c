"""Whose a line of Python is: messages and nodes name the user's own."""

from __future__ import annotations

import os
import site
import sysconfig

import jax

from tilewright.trace import jax_internals as internals

NOT_THE_USER = tuple(
    os.path.join(path, "")
    for path in {
        os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
        os.path.dirname(jax.__file__),
        *site.getsitepackages(),
        sysconfig.get_path("stdlib"),
    }
)
"""Where files lie that are ours, JAX's or a library's."""


def user_line(equation: internals.Equation) -> str:
    """file:line of the innermost frame that is the user's own, or nothing."""
    for file, line in internals.frames(equation):
        if not file.startswith(NOT_THE_USER):
            return f"{file}:{line}"
    return ""
