"""The context by its old name; its home is `codegen/context.py`."""

from tilewright.codegen.context import FIELDS, LINE, Context

__all__ = ["FIELDS", "LINE", "Context"]
