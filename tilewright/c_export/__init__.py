"""A compiled function as a library for C and C++."""

from tilewright.c_export.export import export as export
