"""How kernels of convolutions lie: outputs side by side, in panels where there are many.

In: a kernel (groups, kh, kw, in, out), or in pairs (groups, kh, kw, in / 2, out, 2), and how many
positions of results it serves. Out: a view of the same shape that lanes can run along; a copy where
it lies otherwise. Of one group with outputs for several panels it may be (panels, kh, kw, in, out
of one), as if these were groups, all of which read the same channels.

A tile reads on and on in a panel, which hosts foresee: 256 channels of 28 x 28 times 3 x 3 taps
come to 0.98 of the multiply-add peak with AVX-512 and 0.97 with AVX2, where rows of all outputs
give 0.95 and 0.81 (Zen 4).
"""

from __future__ import annotations

from math import prod

from tilewright.codelets.base import LANES
from tilewright.codelets.convolution.channels import is_together
from tilewright.codelets.convolution.pairs import are_words
from tilewright.graph.ir import Type, numpy_dtype
from tilewright.plan import views
from tilewright.plan.ir import View
from tilewright.plan.scope import Scope

CROWDED, CACHE_WAYS = 512, 8
"""Rows so many bytes apart, or a multiple, share the lines of caches that have so many ways."""
VECTORS, VECTOR_ITEM = 4, 32
"""Vectors of a panel of a kernel, each of sums of so many bits."""
MANY_PIXELS = 1024
"""Positions of results from which on a kernel that could be read as it lies is put into panels."""


def side_by_side(scope: Scope, kernel: View, pixels: int) -> View:
    """A kernel of which lanes are neighbours: outputs of a group; if these are few, of all."""
    groups, kh, kw, channels, out = kernel.shape
    if groups > 1 and out < LANES:
        if is_together(kernel.strides[0], kernel.strides[4], out):
            return kernel
        packed = scope.new(Type(kernel.dtype, (kh, kw, channels, groups, out)))
        scope.copy(views.transpose(kernel, (1, 2, 3, 0, 4)), packed)
        return views.transpose(packed, (3, 0, 1, 2, 4))
    is_near = (out == 1 or kernel.strides[4] == 1) and not _is_crowded(kernel, kernel.strides[3])
    if (pixels >= MANY_PIXELS or not is_near) and _has_panels(scope, kernel):
        return _in_panels(scope, kernel)
    if is_near:
        return kernel
    pitch = out + (LANES if _is_crowded(kernel, out) else 0)
    made = scope.new(Type(kernel.dtype, (groups, kh, kw, channels, pitch)))
    made = views.window(made, (0,) * 5, kernel.shape)
    scope.copy(kernel, made)
    return made


def _has_panels(scope: Scope, kernel: View) -> bool:
    """Whether one group has outputs for several panels, which are read where they lie."""
    panel, out = _panel(scope), kernel.shape[4]
    coherent = scope.plan.machine.chip.exchange.kind == "coherent"
    return coherent and kernel.shape[0] == 1 and out > panel and out % panel == 0


def _panel(scope: Scope) -> int:
    """Outputs side by side of a panel: the vectors of a tile that reads each pixel least often."""
    return VECTORS * scope.plan.machine.tile.features.vector_bits // VECTOR_ITEM


def _in_panels(scope: Scope, kernel: View) -> View:
    """One panel's outputs of all taps and channels after the other's, as groups lie."""
    (_, *taps, out), pair, panel = kernel.shape[:5], kernel.shape[5:], _panel(scope)
    apart = views.reshape(kernel, (*taps, out // panel, panel, *pair))
    assert apart is not None, "a dimension in two is a view"
    return scope.dense(views.transpose(apart, (3, 0, 1, 2, *range(4, 5 + len(pair)))))


def _is_crowded(kernel: View, step: int) -> bool:
    """Whether rows of a kernel, one for each tap and input channel and so many elements apart, fall
    into the same few lines of caches."""
    nbytes = step * numpy_dtype(kernel.dtype).itemsize
    return nbytes % CROWDED == 0 and prod(kernel.shape[1:4]) * nbytes > CROWDED * CACHE_WAYS


def in_words(scope: Scope, kernel: View, pixels: int) -> View:
    """Pairs lie side by side, and so do the outputs of a group; if these are few, of all."""
    groups, out = kernel.shape[0], kernel.shape[4]
    if pixels >= MANY_PIXELS and _has_panels(scope, kernel):
        return _in_panels(scope, kernel)
    order = (1, 2, 3, 0, 4, 5) if groups > 1 and out < LANES else (0, 1, 2, 3, 4, 5)
    back = tuple(order.index(i) for i in range(6))
    turned = views.transpose(kernel, order)
    near = is_together(kernel.strides[0], kernel.strides[4], out, 2) or order[0] == 0
    if not (near and kernel.strides[4:] == (2, 1) and are_words(kernel.shape, kernel.strides)):
        turned = scope.dense(turned)
    return views.transpose(turned, back)


def across(scope: Scope, kernel: View, pixels: int) -> View:
    """A kernel that is read from its outputs to its inputs."""
    return side_by_side(scope, views.transpose(kernel, (0, 1, 2, 4, 3)), pixels)


def across_in_words(scope: Scope, kernel: View, pixels: int) -> View:
    """The same with pairs of outputs, (groups, kh, kw, out / 2, in, 2)."""
    *sizes, out = kernel.shape
    apart = views.reshape(kernel, (*sizes, out // 2, 2))
    assert apart is not None, "a dimension in two is a view"
    return in_words(scope, views.transpose(apart, (0, 1, 2, 4, 3, 5)), pixels)
