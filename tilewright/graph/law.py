"""The law of sums: what decides the bits of every sum and product, and nothing else does.

A sum of n terms is taken in *leaves*, and the leaves in a *tree*.

Leaves. Terms are numbered from 0 (several reduced axes: in row-major order of the operand's axes;
several contracted axes: in the order given). Leaf i holds the terms 256 i ... 256 i + 255; the last
one may be shorter. A leaf starts at +0.0 (reductions by products: at 1; by maxima and so on: at
their identity; a single product, n = 1, at -0.0: it keeps the sign of its zero) and is taken in one
of two orders:

    sequence    one term after the other. For products of which both operands have free axes:
                s = fma(a, b, s).
    lanes       term e goes to lane e mod 16, in each lane one after the other; then 16 lanes become
                one by halving: l + (l + 8), then l + (l + 4), l + (l + 2), l + (l + 1). Lanes
                without a term stay at the start and are added like others. For products of which
                an operand has no free axis (matrix times vector, vector times vector), and for
                `reduce` of every kind: a sum is the product with ones, to the bit.

Tree. Leaves are combined in adjacent pairs, level by level; an odd one passes on. A run of 2^j
leaves that begins at a multiple of 2^j is a node of this tree (so is such a run cut short by the
end), and may be computed by itself, anywhere, at any time.

Arithmetic is IEEE's, to nearest even, denormals flushed to zero before and after. float32: fma
rounds once. float64: the product is rounded, then added. Integers wrap, so they have no order.
16-bit floats are exact in float32, are summed there by this same law, and rounded once, at the end
of the whole sum: hosts that multiply bfloat16 themselves have no say, unless asked for by `pairs`.

What follows, with |error| <= c u sum|a b| to first order in the unit roundoff u, where
c = min(n, 256) + ceil(log2(n / 256)) in sequence, and min(n / 16, 16) + 4 + ceil(log2(n / 256)) in
lanes (float64: one more, for the product):

- Bits hang on dtypes, on n, and on which operands *have* free axes: not on the extent of a free or
  batch axis, a stride, the place in a batch, an instruction set, a number of tiles or a machine.
- Row i of a product is the same alone (as one row) and among any others; a batch changes nothing.
  A vector is not a matrix of one row: mapping `x @ w` over rows of X gives `X @ w`, in lanes, but
  mapping `x @ W` gives a product of matrices, in sequence, whose bits may differ from `x @ W`'s.
- A product over a concatenation of 2 to 8 parts, of 16 terms or more each, is the sum of the parts'
  products (see `concatenated.py`, which makes it so before anything else is done).
- Terms may be summed in groups, if each is a node of the tree: strips of rows, shares of tiles.

Convolutions (see `ops/conv.py`). An output of `conv` and of `conv_data` is a product in sequence:
terms are the positions that it reads, row by row, each with all its input channels, numbered from 0
and put into leaves as any others are. Padding takes part, as zeros; the holes of a dilation do not.
So a kernel of one tap gives the bits of `dot`, and a data gradient those of the convolution with
the kernel turned round, of each phase of its stride.
`conv_filter` sums over positions, in sequence, in leaves of its own: some rows of one image, as
many as make up to 256 positions (one, if that has more; an image's last leaf may have fewer). All
leaves of all images, one image after the other, are combined in the tree.
Windows are combined one element after the other from the kind's identity, row by row, without
leaves; what `window_scatter` adds up comes in the order of windows, from +0.
What an image gives is the same alone and in a batch, wherever it stands there.

The law `fine` is this one with shorter leaves, for machines with more tiles than a sum has leaves:
of 64 terms; of 8 where a sum has more than 512, which are rows of data. It is asked for by name,
and part of a graph; nothing else chooses it. Convolutions keep their leaves. A node's leaf stands
among its parameters, where it is not 256 (see `by_law.py`).

The law `pairs` is this one, but that a product in sequence of two bfloat16 operands, along a single
contracted axis (or along all leading ones of both, as one: places, for a kernel's gradient), takes
terms 2 i and 2 i + 1 of it in turned order: the odd one first. So does `vdpbf16ps`, which has twice
the multiply-adds of an fma; hosts without it do the same by fma, at an fma's speed. Both are exact
in float32, denormals flushed. Leaves begin at even terms, so a pair is never cut. Pairs are of a
product, not of a concatenation: of its parts, each for itself. A `conv` of two bfloat16 operands,
each of whose groups has an even number of input channels, is such a product: pairs are of
neighbouring channels; so is a `conv_data`, by output channels. A `conv_filter` of two bfloat16
operands takes the positions of each row in pairs, 2 x + 1 before 2 x, and the last one of an odd
row alone. Others keep their order.

Terms with a weight of a block that is known to be zero may be left out of a sum in sequence: that
changes no bit of finite operands but the sign of a zero, and hides what is not finite (see
`ops/blocks.py`).

cumulative: one after the other from the first element, 16-bit floats in float32, each output
rounded. It has no leaves: every prefix is a result.

Why 256: a leaf's sums stay in registers and are then added to others; for 22 x 40 outputs that
costs 33 % of the product at leaves of 8, 4 % at 64, 1 % at 256. Why lanes for vectors: along k of
row-major operands they are what memory gives; in sequence, rows would have to be turned into
columns first, at two to five times the cost. Over column-major operands, lanes cost 15 more
additions a leaf than a sequence: 1,000 x 1,000 times a vector took 74 us by columns, 63 by rows
(Zen 4, AVX-512; `jax.jit` 569 and 86). The price of one order for matrices: sums over k of operands
that both lie along k turn one of them round in registers, which `lanes` would not (2 to 6 % of a
leapfrog of a narrow net with AVX-512; with AVX2 it is 11 to 16 % faster than lanes were).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np

from tilewright.graph.floats import FLOATS, SIXTEEN, flush, name_of
from tilewright.graph.fma import chain32
from tilewright.graph.ir import numpy_dtype
from tilewright.graph.scalar import SCALAR

LAWS = ("host", "fine", "pairs")
"""The names of all laws: the one that hosts are fast under, one of shorter leaves, and one in which
bfloat16 is multiplied in pairs."""
LANES = 16
LEAF = 256
"""Terms of a leaf."""
FINE_LEAF, FINE_ROWS, FINE_LONG = 64, 8, 512
"""Of the law `fine`: terms of a leaf, and of one of a sum of more than so many terms."""
_BLOCK = 1 << 20
"""Elements of one operand of a vectorised step: keeps the temporaries of large dots in bounds."""

COMBINE = {"sum": "add", "prod": "mul", "max": "max", "min": "min"} | {
    op: op for op in ("and", "or", "xor")
}

Axes = tuple[Sequence[int], Sequence[int]]
"""Dimensions of the left and of the right operand."""


def leaf_of(law: str, terms: int) -> int:
    """How many terms of a sum of so many a leaf has."""
    if law == "fine":
        return FINE_ROWS if terms > FINE_LONG else FINE_LEAF
    return LEAF


def accumulation_dtype(dtype: str) -> str:
    """Where sums of `dtype` are kept."""
    return "float32" if dtype in SIXTEEN else dtype


def dot_working_dtype(lhs: str, rhs: str, result: str) -> str:
    """What products and sums are kept in: the result's type, but no less than float32."""
    if "float64" in (lhs, rhs):
        return "float64"
    return accumulation_dtype(result)


def dot_order(left_rank: int, right_rank: int, contract: Axes, batch: Axes) -> str:
    """ "lanes" if an operand has no free axis, else "sequence"."""
    free = [
        rank - len(contracted) - len(batched)
        for rank, contracted, batched in zip((left_rank, right_rank), contract, batch, strict=True)
    ]
    return "sequence" if all(free) else "lanes"


def identity(kind: str, dtype: str) -> np.ndarray:
    """The value that a reduction starts from."""
    target = numpy_dtype(dtype)
    if kind in ("sum", "or", "xor"):
        return np.zeros((), target)
    if kind == "prod":
        return np.ones((), target)
    if kind == "and":
        return np.array(True) if dtype == "bool" else np.invert(np.zeros((), target))
    if dtype in FLOATS:
        return np.array(-np.inf if kind == "max" else np.inf, target)
    if dtype == "bool":
        return np.array(kind == "min")
    bounds = np.iinfo(target)
    return np.array(bounds.min if kind == "max" else bounds.max, target)


# The meaning, vectorised over the outputs.


def reduce_ordered(
    kind: str, array: np.ndarray, axes: Sequence[int], leaf: int = LEAF
) -> np.ndarray:
    """Reduce over `axes`; the result has the array's dtype."""
    dtype = name_of(array)
    kept = [i for i in range(array.ndim) if i not in axes]
    reduced = sorted(axes)
    shape = tuple(array.shape[i] for i in kept)
    length = prod(array.shape[i] for i in reduced)
    rows = array.transpose([*kept, *reduced]).reshape(prod(shape), length)
    terms = rows.astype(numpy_dtype(accumulation_dtype(dtype))).T
    leaves = [_reduce_leaves(kind, some) for some in _leaves(terms, leaf)]
    if not leaves:
        return np.full(shape, identity(kind, dtype))
    result = combine_pairs(kind, np.concatenate(leaves))
    return result.reshape(shape).astype(numpy_dtype(dtype))


def combine_pairs(kind: str, parts: np.ndarray) -> np.ndarray:
    """The tree: nodes of one level, stacked on axis 0 (the last may be cut short), to its root."""
    while len(parts) > 1:
        even = len(parts) // 2 * 2
        pairs = combine(kind, parts[0:even:2], parts[1:even:2])
        parts = np.concatenate([pairs, parts[even:]])
    return parts[0]


def combine(kind: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Two arrays of a kind's partial results, element by element."""
    return SCALAR[COMBINE[kind]](a, b, dtype=name_of(a))


def leaf_height(columns: int) -> int:
    """Rows of `columns` positions in a leaf of a filter gradient."""
    return max(1, LEAF // max(columns, 1))


def sum_of_leaves(
    leaves: Sequence[tuple[np.ndarray, ...]], shape: tuple[int, int, int], terms: int, working: str
) -> np.ndarray:
    """Leaves of pairs (terms, batch, m) and (terms, batch, n) to (batch, m, n), in sequence.

    `terms` is how many all leaves have together.
    """
    start = -0.0 if terms == 1 and working in FLOATS else 0
    parts = []
    for pair in leaves:
        a, b = (flush(SCALAR["convert"](x, dtype=working))[None] for x in pair)
        if a.size and b.size:
            parts.append(_dot_leaves(a, b, 1, start)[0, 0])
    return combine_pairs("sum", np.stack(parts)) if parts else np.zeros(shape, working)


def _leaves(terms: np.ndarray, leaf: int) -> list[np.ndarray]:
    """Terms on axis 0: the whole leaves as (leaves, leaf, ...), then the last as (1, rest, ...)."""
    whole = len(terms) // leaf * leaf
    parts = [terms[:whole].reshape(whole // leaf, leaf, *terms.shape[1:])] if whole else []
    return [*parts, terms[None, whole:]] if whole < len(terms) else parts


def _reduce_leaves(kind: str, leaves: np.ndarray) -> np.ndarray:
    """(leaves, terms, ...) to (leaves, ...), in lanes."""
    start = identity(kind, name_of(leaves))
    sums = np.full((len(leaves), LANES, *leaves.shape[2:]), start, leaves.dtype)
    for first in range(0, leaves.shape[1], LANES):
        taken = leaves[:, first : first + LANES]
        width = taken.shape[1]
        sums[:, :width] = combine(kind, sums[:, :width], taken)
    return _halve(kind, sums)


def _halve(kind: str, lanes: np.ndarray) -> np.ndarray:
    """l + (l + 8), then + 4, + 2, + 1 over axis 1."""
    while lanes.shape[1] > 1:
        half = lanes.shape[1] // 2
        lanes = combine(kind, lanes[:, :half], lanes[:, half:])
    return lanes[:, 0]


def cumulative_ordered(
    kind: str, array: np.ndarray, axis: int, reverse: bool = False
) -> np.ndarray:
    """Running sums (or products, maxima, minima) along an axis."""
    working = np.moveaxis(array, axis, 0).astype(numpy_dtype(accumulation_dtype(name_of(array))))
    working = working[::-1] if reverse else working
    result = working.copy()
    for i in range(1, len(working)):
        result[i] = combine(kind, result[i - 1], working[i])
    result = result[::-1] if reverse else result
    return np.moveaxis(result, 0, axis).astype(array.dtype)


def dot_ordered(
    lhs: np.ndarray,
    rhs: np.ndarray,
    contract: Axes,
    batch: Axes,
    dtype: str,
    leaf: int = LEAF,
    pairs: bool = False,
) -> np.ndarray:
    """The contraction; the result is (batch, lhs free, rhs free) of `dtype`."""
    a, free_a = _rows(lhs, contract[0], batch[0])
    b, free_b = _rows(rhs, contract[1], batch[1])
    shape = (*(lhs.shape[i] for i in batch[0]), *free_a, *free_b)
    working = dot_working_dtype(name_of(lhs), name_of(rhs), dtype)
    order = "pairs" if pairs else dot_order(lhs.ndim, rhs.ndim, contract, batch)
    sums = product(a, b, order, working, leaf)
    return SCALAR["convert"](sums, dtype=dtype).reshape(shape)


def _rows(
    array: np.ndarray, contract: Sequence[int], batch: Sequence[int]
) -> tuple[np.ndarray, tuple[int, ...]]:
    """(batch, free, contracted), and the shape of the free part."""
    free = [i for i in range(array.ndim) if i not in contract and i not in batch]
    sizes = [prod(array.shape[i] for i in axes) for axes in (batch, free, contract)]
    rows = array.transpose([*batch, *free, *contract]).reshape(sizes)
    return rows, tuple(array.shape[i] for i in free)


def turned(terms: int) -> list[int]:
    """So many terms in pairs: the odd one of each first."""
    order = [i for even in range(0, terms, 2) for i in (even + 1, even)]
    return [i for i in order if i < terms]


def product(
    lhs: np.ndarray, rhs: np.ndarray, order: str, working: str, leaf: int = LEAF
) -> np.ndarray:
    """(*batch, m, k) and (*batch, n, k) to (*batch, m, n) of `working` dtype.

    `order` is "sequence", "lanes" or "pairs": in sequence, of each pair the odd term first.
    """
    lhs, rhs = (SCALAR["convert"](x, dtype=working) for x in (lhs, rhs))
    if order == "pairs":
        order_in_pairs = turned(lhs.shape[-1])
        lhs, rhs = lhs[..., order_in_pairs], rhs[..., order_in_pairs]
    if working not in FLOATS:
        with np.errstate(all="ignore"):
            return np.matmul(lhs, rhs.swapaxes(-1, -2))
    shape = (*lhs.shape[:-1], rhs.shape[-2])
    a, b = (x.reshape(prod(shape[:-2]), *x.shape[-2:]) for x in (lhs, rhs))
    a, b = (flush(x).transpose(2, 0, 1) for x in (a, b))  # (k, batch, rows)
    result = np.zeros((a.shape[1], a.shape[2], b.shape[2]), working)
    lanes = LANES if order == "lanes" else 1
    with np.errstate(all="ignore"):
        for some, rows in _blocks(result.shape, a.shape[0], lanes, leaf):
            result[some, rows] = _block(a[:, some, rows], b[:, some], lanes, leaf)
    return result.reshape(shape)


def _blocks(shape: tuple[int, ...], k: int, lanes: int, leaf: int) -> Iterator[tuple[slice, slice]]:
    """Cut (batch, m) so that the accumulators of one block are about `_BLOCK` elements."""
    batch, m, n = shape
    width = lanes * max(1, n) * (1 + k // leaf)
    rows = min(max(m, 1), max(1, _BLOCK // width))
    some = max(1, _BLOCK // (width * rows))
    for first in range(0, batch, some):
        for row in range(0, m, rows):
            yield slice(first, first + some), slice(row, row + rows)


def _block(a: np.ndarray, b: np.ndarray, lanes: int, leaf: int) -> np.ndarray:
    """(k, batch, m) and (k, batch, n) to (batch, m, n)."""
    pairs = zip(_leaves(a, leaf), _leaves(b, leaf), strict=True)
    start = -0.0 if len(a) == 1 else 0.0
    leaves = [_halve("sum", _dot_leaves(x, y, lanes, start)) for x, y in pairs]
    if not leaves:
        return np.zeros((a.shape[1], a.shape[2], b.shape[2]), a.dtype)
    return combine_pairs("sum", np.concatenate(leaves))


def _dot_leaves(a: np.ndarray, b: np.ndarray, lanes: int, start: float) -> np.ndarray:
    """(leaves, terms, batch, m) and (..., n) to (leaves, lanes, batch, m, n)."""
    sums = np.full((len(a), lanes, a.shape[2], a.shape[3], b.shape[3]), start, a.dtype)
    chain = _multiplied_then_added
    if a.dtype == np.float32:
        a, b, chain = a.astype(np.float64), b.astype(np.float64), chain32
    a, b = a[..., :, None], b[..., None, :]
    rest = a.shape[1] % lanes
    whole = a.shape[1] - rest
    sums = chain(_steps(a[:, :whole], lanes), _steps(b[:, :whole], lanes), sums)
    if rest:
        last = a[:, whole:][None], b[:, whole:][None]
        sums[:, :rest] = chain(*last, sums[:, :rest])
    return sums


def _steps(terms: np.ndarray, lanes: int) -> np.ndarray:
    """(leaves, terms, ...) to (steps, leaves, lanes, ...)."""
    leaves, count, *rest = terms.shape
    return terms.reshape(leaves, count // lanes, lanes, *rest).swapaxes(0, 1)


def _multiplied_then_added(a: np.ndarray, b: np.ndarray, sums: np.ndarray) -> np.ndarray:
    for x, y in zip(a, b, strict=True):
        sums = flush(flush(x * y) + sums)
    return sums
