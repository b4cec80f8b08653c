"""The errors that a user meets; each message is one sentence."""

from __future__ import annotations


class UnsupportedError(Exception):
    """A function uses something that cannot be compiled; names it and the user's own line."""


class ArgumentError(ValueError):
    """A call's arguments are not what the function was compiled for; names the argument."""


class LoadError(ValueError):
    """A file holds no program that can be run; names the file and what is wrong with it."""


class CapacityError(Exception):
    """A machine has too little memory for a program: which, by how much, and what would help."""


class DataWarning(UserWarning):
    """Data that can be used, but perhaps are not what was meant: what, and what is done with it."""
