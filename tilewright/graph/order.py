"""In which order sums are taken: the law that evaluate, simulate and native code share.

Chunks, lanes and trees depend on the shapes and axes alone. Everything here is plain IEEE
arithmetic with denormals flushed (see `scalar.py`), vectorised over the outputs.

reduce, "row" form (the operand's last axis is reduced): the n reduced elements of an output, in
row-major order, are cut into chunks of 1024. In a chunk there are 4 accumulators x 16 lanes, all
starting at the identity (+0.0 for sums); element e goes to accumulator (e // 16) % 4, lane e % 16,
one after the other. Then (a0 + a1) + (a2 + a3), then the lanes by halving: l + (l + 8), l + (l +
4), l + (l + 2), l + (l + 1).

reduce, "column" form (all else): chunks of 64 elements, each summed one after the other from the
identity.

Either way chunk results are combined in adjacent pairs, level by level; an odd one passes on.
Elements missing from the last chunk take no part, their untouched accumulators do. 16-bit floats
accumulate in float32 and are rounded once.

dot, "inner" form (see `dot_form`: a long axis, the last of both operands): chunks of 1024 elements,
one accumulator x 16 lanes from +0.0, element e to lane e % 16, by fma, lanes by halving as above.

dot, "outer" form (all else): chunks of 512 elements (several contracted axes are flattened in the
order given), by fma one after the other from +0.0.

Either way chunk results are added one after the other. float32 uses fma, float64 a rounded product
and a sum; integers wrap. Operands of 16 bits are exact in float32 and are summed like it: one law
for all hosts, whether or not they multiply bfloat16 (`vdpbf16ps` takes the odd element of a pair
before the even one: an order that would cost the others two shuffles a vector).

cumulative: one after the other from the first element, 16-bit floats in float32, each output
rounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np

from tilewright.graph.ir import numpy_dtype
from tilewright.graph.scalar import FLOATS, ROUNDS_TO_TINY, SCALAR, SIXTEEN, Array, flush

LANES = 16
ACCUMULATORS = 4
ROW_CHUNK = 1024
COLUMN_CHUNK = 64
INNER_CHUNK, OUTER_CHUNK = 1024, 512
"""Elements of k that a contraction sums before it adds the sum to that of the chunks before."""
INNER_LENGTH = 192
FEW_OUTPUTS, MANY_OUTPUTS = 256, 2048
_BLOCK = 1 << 20
"""Elements of one operand of a vectorised step: keeps the temporaries of large dots in bounds."""

COMBINE = {"sum": "add", "prod": "mul", "max": "max", "min": "min"} | {
    op: op for op in ("and", "or", "xor")
}


def accumulation_dtype(dtype: str) -> str:
    """Where sums of `dtype` are kept."""
    return "float32" if dtype in SIXTEEN else dtype


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


def reduce_form(ndim: int, axes: Sequence[int]) -> str:
    """ "row" if the operand's last axis is reduced, else "column"."""
    return "row" if ndim - 1 in axes else "column"


def reduce_ordered(kind: str, array: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    """Reduce over `axes` in THE order; the result has the array's dtype."""
    dtype = array.dtype.name
    kept = [i for i in range(array.ndim) if i not in axes]
    reduced = sorted(axes)
    shape = tuple(array.shape[i] for i in kept)
    length = prod(array.shape[i] for i in reduced)
    rows = array.transpose([*kept, *reduced]).reshape(prod(shape), length)
    form = _row_chunks if reduce_form(array.ndim, axes) == "row" else _column_chunks
    working = rows.astype(numpy_dtype(accumulation_dtype(dtype)))
    result = _pairwise(kind, form(kind, working))
    return result.reshape(shape).astype(numpy_dtype(dtype))


def _combine(kind: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return SCALAR[COMBINE[kind]](a, b, dtype=a.dtype.name)


def _chunks(rows: np.ndarray, size: int) -> list[np.ndarray]:
    """The whole chunks as one array (outputs, chunks, size), then the rest (outputs, 1, rest)."""
    count, length = rows.shape
    whole = length // size
    parts = [rows[:, : whole * size].reshape(count, whole, size)] if whole else []
    rest = rows[:, whole * size :].reshape(count, 1, length - whole * size)
    return [*parts, rest] if rest.shape[2] else parts


def _accumulate(kind: str, chunks: np.ndarray, width: int) -> np.ndarray:
    """Element e of a chunk is taken by accumulator e % width, one after the other."""
    start = identity(kind, chunks.dtype.name)
    sums = np.full((*chunks.shape[:2], width), start, chunks.dtype)
    for first in range(0, chunks.shape[2], width):
        block = chunks[:, :, first : first + width]
        taken = block.shape[2]
        sums[:, :, :taken] = _combine(kind, sums[:, :, :taken], block)
    return sums


def _row_chunks(kind: str, rows: np.ndarray) -> np.ndarray:
    """The result of every chunk, (outputs, chunks)."""
    parts = [np.zeros((rows.shape[0], 0), rows.dtype)]
    for chunks in _chunks(rows, ROW_CHUNK):
        sums = _accumulate(kind, chunks, ACCUMULATORS * LANES)
        a = [sums[:, :, LANES * i : LANES * (i + 1)] for i in range(ACCUMULATORS)]
        lanes = _combine(kind, _combine(kind, a[0], a[1]), _combine(kind, a[2], a[3]))
        parts.append(_halve(kind, lanes))
    return np.concatenate(parts, axis=1)


def _column_chunks(kind: str, rows: np.ndarray) -> np.ndarray:
    parts = [np.zeros((rows.shape[0], 0), rows.dtype)]
    parts += [_accumulate(kind, c, 1)[:, :, 0] for c in _chunks(rows, COLUMN_CHUNK)]
    return np.concatenate(parts, axis=1)


def _halve(kind: str, lanes: np.ndarray) -> np.ndarray:
    """l + (l + 8), then + 4, + 2, + 1 over the last axis of 16."""
    while lanes.shape[-1] > 1:
        half = lanes.shape[-1] // 2
        lanes = _combine(kind, lanes[..., :half], lanes[..., half:])
    return lanes[..., 0]


def _pairwise(kind: str, chunks: np.ndarray) -> np.ndarray:
    """Combine (outputs, chunks) in adjacent pairs, level by level."""
    if chunks.shape[1] == 0:
        return np.full(chunks.shape[0], identity(kind, chunks.dtype.name))
    while chunks.shape[1] > 1:
        even = chunks.shape[1] // 2 * 2
        pairs = _combine(kind, chunks[:, 0:even:2], chunks[:, 1:even:2])
        chunks = np.concatenate([pairs, chunks[:, even:]], axis=1)
    return chunks[:, 0]


def cumulative_ordered(
    kind: str, array: np.ndarray, axis: int, reverse: bool = False
) -> np.ndarray:
    """Running sums (or products, maxima, minima) along an axis."""
    working = np.moveaxis(array, axis, 0).astype(numpy_dtype(accumulation_dtype(array.dtype.name)))
    working = working[::-1] if reverse else working
    result = working.copy()
    for i in range(1, len(working)):
        result[i] = _combine(kind, result[i - 1], working[i])
    result = result[::-1] if reverse else result
    return np.moveaxis(result, 0, axis).astype(array.dtype)


# Contractions.


def fma32(a: Array, b: Array, c: Array) -> np.ndarray:
    """float32 a * b + c with one rounding."""
    a, b, c = (flush(np.asarray(x, np.float32)).astype(np.float64) for x in (a, b, c))
    with np.errstate(all="ignore"):
        return _fma(a, b, np.broadcast_to(c, np.broadcast_shapes(a.shape, b.shape, c.shape)))


_TIE_MASK = np.int64((1 << 29) - 1)
_TIE = np.int64(1 << 28)


def _fma(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """The same on float64 arrays that hold float32 values without denormals.

    The product is exact in float64. Rounding the sum twice differs from rounding it once only where
    the first rounding lands midway between two float32 values: there the lost part decides.
    """
    product = a * b
    total = np.asarray(product + c)
    ties = (total.view(np.int64) & _TIE_MASK) == _TIE
    if ties.any():
        total[ties] = _nudge(total[ties], product[ties], c[ties])
    small = np.abs(total) < ROUNDS_TO_TINY["float32"]
    if small.any():
        total = np.where(small, np.copysign(0.0, total), total)
    return total.astype(np.float32)


def _nudge(total: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Move total = a + b one step towards what rounding lost (Knuth's two-sum finds it)."""
    back = total - a
    lost = (a - (total - back)) + (b - back)
    moved = np.nextafter(total, np.copysign(np.inf, lost))
    return np.where((lost != 0) & np.isfinite(total) & np.isfinite(lost), moved, total)


def dot_form(
    lhs: tuple[int, ...],
    rhs: tuple[int, ...],
    contract: tuple[Sequence[int], Sequence[int]],
    batch: tuple[Sequence[int], Sequence[int]],
) -> str:
    """ "inner" or "outer", from the operands' shapes.

    Inner: one axis is contracted, the last of both, and it is long, so that adding up its lanes in
    the end is little against the rest; or there are few outputs. With many outputs it pays to turn
    an operand around for the outer form, which has no lanes to add up.
    """
    last = ((len(lhs) - 1,), (len(rhs) - 1,))
    if (tuple(contract[0]), tuple(contract[1])) != last:
        return "outer"
    length = lhs[-1]
    free = [
        prod(s[:-1]) // prod(s[i] for i in b) if prod(s[i] for i in b) else 0
        for s, b in zip((lhs, rhs), batch, strict=True)
    ]
    outputs = free[0] * free[1]
    long = length >= INNER_LENGTH and outputs < MANY_OUTPUTS
    return "inner" if long or outputs <= FEW_OUTPUTS else "outer"


def dot_ordered(
    lhs: np.ndarray,
    rhs: np.ndarray,
    contract: tuple[Sequence[int], Sequence[int]],
    batch: tuple[Sequence[int], Sequence[int]],
    dtype: str,
    form: str | None = None,
) -> np.ndarray:
    """The contraction in THE order; the result is (batch, lhs free, rhs free) of `dtype`.

    `form` is that of `dot_form`, unless the shapes are those of a piece, and the whole has decided.
    """
    a, free_a = _rows(lhs, contract[0], batch[0])
    b, free_b = _rows(rhs, contract[1], batch[1])
    shape = (*(lhs.shape[i] for i in batch[0]), *free_a, *free_b)
    working = dot_working_dtype(lhs.dtype.name, rhs.dtype.name, dtype)
    if (form or dot_form(lhs.shape, rhs.shape, contract, batch)) == "inner":
        sums = dot_inner(a, b, working)
    else:
        sums = dot_outer(a, b.swapaxes(1, 2), working)
    return SCALAR["convert"](sums, dtype=dtype).reshape(shape)


def _rows(
    array: np.ndarray, contract: Sequence[int], batch: Sequence[int]
) -> tuple[np.ndarray, tuple[int, ...]]:
    """(batch, free, contracted), and the shape of the free part."""
    free = [i for i in range(array.ndim) if i not in contract and i not in batch]
    sizes = [prod(array.shape[i] for i in axes) for axes in (batch, free, contract)]
    rows = array.transpose([*batch, *free, *contract]).reshape(sizes)
    return rows, tuple(array.shape[i] for i in free)


def dot_inner(lhs: np.ndarray, rhs: np.ndarray, working: str) -> np.ndarray:
    """(*batch, m, k) and (*batch, n, k) to (*batch, m, n) of `working` dtype, in the inner form."""
    return _contract(lhs, rhs, "inner", working)


def dot_outer(lhs: np.ndarray, rhs: np.ndarray, working: str) -> np.ndarray:
    """(*batch, m, k) and (*batch, k, n) to (*batch, m, n) of `working` dtype, in the outer form."""
    return _contract(lhs, rhs.swapaxes(-1, -2), "outer", working)


def _contract(lhs: np.ndarray, rhs: np.ndarray, form: str, working: str) -> np.ndarray:
    lhs, rhs = (SCALAR["convert"](x, dtype=working) for x in (lhs, rhs))
    if working not in FLOATS:
        with np.errstate(all="ignore"):
            return np.matmul(lhs, rhs.swapaxes(-1, -2))
    shape = (*lhs.shape[:-1], rhs.shape[-2])
    a, b = (x.reshape(prod(shape[:-2]), *x.shape[-2:]) for x in (lhs, rhs))
    a, b = (flush(x).transpose(2, 0, 1) for x in (a, b))  # (k, batch, rows)
    result = np.zeros((a.shape[1], a.shape[2], b.shape[2]), working)
    with np.errstate(all="ignore"):
        for some, rows in _blocks(result.shape, a.shape[0], form):
            result[some, rows] = _block(a[:, some, rows], b[:, some], form)
    return result.reshape(shape)


def dot_working_dtype(lhs: str, rhs: str, result: str) -> str:
    """What products and sums are kept in: the result's type, but no less than float32."""
    if "float64" in (lhs, rhs):
        return "float64"
    return accumulation_dtype(result)


def _blocks(shape: tuple[int, ...], k: int, form: str) -> Iterator[tuple[slice, slice]]:
    """Cut (batch, m) so that the accumulators of one block are about `_BLOCK` elements."""
    batch, m, n = shape
    width = LANES if form == "inner" else 1
    width *= max(1, n) * (1 + k // (INNER_CHUNK if form == "inner" else OUTER_CHUNK))
    rows = min(max(m, 1), max(1, _BLOCK // width))
    some = max(1, _BLOCK // (width * rows))
    for first in range(0, batch, some):
        for row in range(0, m, rows):
            yield slice(first, first + some), slice(row, row + rows)


def _block(a: np.ndarray, b: np.ndarray, form: str) -> np.ndarray:
    """(k, batch, m) and (k, batch, n) to (batch, m, n)."""
    lanes, size = (LANES, INNER_CHUNK) if form == "inner" else (1, OUTER_CHUNK)
    result = None
    for x, y in zip(_leading_chunks(a, size), _leading_chunks(b, size), strict=True):
        sums = _dot_chunks(x, y, lanes)
        while sums.shape[1] > 1:
            half = sums.shape[1] // 2
            sums = _combine("sum", sums[:, :half], sums[:, half:])
        for chunk in sums[:, 0]:
            result = chunk if result is None else _combine("sum", result, chunk)
    return np.zeros((a.shape[1], a.shape[2], b.shape[2]), a.dtype) if result is None else result


def _leading_chunks(array: np.ndarray, size: int) -> list[np.ndarray]:
    """The whole chunks of the first axis as (chunks, size, ...), then the rest."""
    whole = len(array) // size * size
    parts = [array[:whole].reshape(-1, size, *array.shape[1:])] if whole else []
    return [*parts, array[None, whole:]] if whole < len(array) else parts


def _dot_chunks(a: np.ndarray, b: np.ndarray, lanes: int) -> np.ndarray:
    """(chunks, size, batch, m) and (chunks, size, batch, n) to (chunks, lanes, batch, m, n)."""
    sums = np.zeros((len(a), lanes, a.shape[2], a.shape[3], b.shape[3]), a.dtype)
    multiply_add = fma32 if a.dtype == np.float32 else _multiply_then_add
    for first in range(0, a.shape[1], lanes):
        taken = slice(first, first + lanes)
        x, y = a[:, taken, :, :, None], b[:, taken, :, None, :]
        sums[:, : x.shape[1]] = multiply_add(x, y, sums[:, : x.shape[1]])
    return sums


def _multiply_then_add(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    return flush(flush(a * b) + c)
