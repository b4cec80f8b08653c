"""What the outer form of a contraction is given, once it is known which operand lies in lanes."""

from __future__ import annotations

from dataclasses import dataclass

from tilewright.codelets.arithmetic import Arithmetic
from tilewright.codelets.contract_operand import Matrix


@dataclass(frozen=True)
class Problem:
    """rows x columns outputs; `left` is broadcast along columns, `right` is read in vectors."""

    rows: int
    columns: int
    k: int
    left: Matrix
    right: Matrix
    out_dtype: str
    row_step: int
    column_step: int
    arithmetic: Arithmetic
