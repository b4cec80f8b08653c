"""Convolutions whose input channels are taken in pairs of bfloat16 (see `graph/law.py`).

In: a convolution of bfloat16 whose kernel is (groups, kh, kw, in / 2, out, 2). Out: the same as one
of words of 32 bits, half as many channels, which `emit/pairs.py` multiplies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tilewright.codelets.base import Operand

if TYPE_CHECKING:
    from tilewright.codelets.convolution.images import Convolution


WORD = "int32"
"""The dtype of a pair."""


def are_words(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether neighbours along the last dimension are words, one after the other."""
    apart = (step for size, step in zip(shape[:-1], strides, strict=False) if size > 1)
    return strides[-1] == 1 and all(step % 2 == 0 for step in apart)


def in_words(codelet: Convolution) -> Convolution:
    image, kernel = codelet.image, codelet.kernel
    *around, channels = image.shape
    pixels = Operand(
        WORD, (*around, channels // 2), (*(step // 2 for step in image.strides[:-1]), 1)
    )
    steps = tuple(step // 2 for step in kernel.strides[:-1])
    return replace(codelet, image=pixels, kernel=Operand(WORD, kernel.shape[:-1], steps))
