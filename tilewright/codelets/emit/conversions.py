"""Changes of dtype in registers: converting, reinterpreting and rounding.

In: registers of a dtype's register type. Out: registers of another's. Always as `SCALAR` of
`graph/scalar.py`: floats become integers by truncation, saturating, and NaN becomes 0; everything
becomes a 16-bit float by way of float32; conversion to bfloat16 flushes denormals.
"""

from __future__ import annotations

from tilewright.codelets.emit.llvm import MEMORY_TYPE, REGISTER_TYPE, vector
from tilewright.codelets.emit.memory import to_memory, to_register
from tilewright.codelets.emit.registers import Register
from tilewright.codelets.emit.vectors import kind_bits, shuffle
from tilewright.graph.law import LANES

SIXTEEN = ("bfloat16", "float16")
FLOATS = (*SIXTEEN, "float32", "float64")
MANTISSA = {"float16": 10, "bfloat16": 7, "float32": 23, "float64": 52}


def rounded(value: Register, dtype: str) -> Register:
    """A float32 result as a 16-bit float can hold it; other dtypes are left alone."""
    if dtype == "float16":
        return value.cast("fptrunc", "half").cast("fpext", "float")
    return _rounded_bfloat16(value) if dtype == "bfloat16" else value


def _rounded_bfloat16(value: Register) -> Register:
    """To nearest even; NaN keeps its sign and becomes quiet."""
    bits = value.bitcast("i32")
    odd = bits.shift_right(16) & 1
    nearest = (bits + (odd + 0x7FFF)) & -0x10000
    return value.is_nan().select(_quiet(bits), nearest).bitcast("float")


def _quiet(bits: Register) -> Register:
    """A NaN of the same sign."""
    return (bits & -0x80000000) | 0x7FC00000


def flushed(value: Register) -> Register:
    """A float without denormals, which compare equal to zero here."""
    bits = value.bitcast(f"i{value.bits}")
    signed_zero = bits & -(1 << (value.bits - 1))
    return value.equal(0.0).select(signed_zero, bits).bitcast(value.kind)


def convert(value: Register, source: str, target: str) -> Register:
    """The same number in another dtype."""
    if source == target:
        return value
    if target == "bool":
        return value.unequal(0)
    if source in FLOATS:
        return (
            _between_floats(value, source, target)
            if target in FLOATS
            else _to_integer(value, target)
        )
    signed = source.startswith("int")
    if target in FLOATS:
        number = value.cast("sitofp" if signed else "uitofp", REGISTER_TYPE[target])
        return rounded(number, target)
    kind = REGISTER_TYPE[target]
    if kind_bits(kind) < value.bits:
        return value.cast("trunc", kind)
    return value.cast("sext" if signed else "zext", kind)


def _between_floats(value: Register, source: str, target: str) -> Register:
    if target == "float64":
        return value.cast("fpext", "double")
    if source in SIXTEEN and target == "float32":
        return value
    value = value.cast("fptrunc", "float")
    if target == "bfloat16" and source == "float32":
        whole = value.width == 8 or (value.width and value.width % LANES == 0)
        if whole and "avx512bf16" in value.function.module.features.names:
            return _by_instruction(value)
        value = flushed(value)
    return rounded(value, target)


def _by_instruction(value: Register) -> Register:
    """`vcvtneps2bf16`, which flushes denormals, too, but would keep more of a NaN than its sign.

    Of several machine vectors abreast, one after the other: swish and this, of 1.2 million elements
    in L3, took 0.43 ms by integers, 0.35 so (Zen 4).
    """
    bits = value.bitcast("i32")
    known = value.is_nan().select(_quiet(bits), bits).bitcast("float")
    function, width = value.function, min(value.width, LANES)
    row, halves = vector("float", width), vector("bfloat", width)
    symbol = f"llvm.x86.avx512bf16.cvtneps2bf16.{32 * width}"
    function.module.declare(symbol, halves, row)
    parts = []
    for first in range(0, value.width, width):
        lanes = range(first, first + width)
        part = shuffle(function, "float", value.width, known.name, "poison", lanes)
        part = function.let(f"call {halves} @{symbol}({row} {part})")
        parts.append(function.let(f"bitcast {halves} {part} to {vector('i16', width)}"))
    while len(parts) > 1:
        size = value.width // len(parts)
        parts = [
            shuffle(function, "i16", size, *pair, range(2 * size))
            for pair in zip(parts[::2], parts[1::2], strict=True)
        ]
    return from_bits(Register(function, "i16", value.width, parts[0]), "bfloat16")


def _to_integer(value: Register, target: str) -> Register:
    """LLVM's saturating conversions go lane by lane; minimum and maximum do not."""
    bits, signed = kind_bits(MEMORY_TYPE[target]), target.startswith("int")
    low = -(1 << (bits - 1)) if signed else 0
    high = (1 << (bits - 1 if signed else bits)) - 1
    wide = "i32" if bits < 32 else f"i{bits}"
    operation = "fptosi" if signed or bits < 32 else "fptoui"
    # The first float that is too large: exact, unlike `high` itself.
    above, below = float(high + 1), float(low)
    inside = (value > below).select(value, below)
    inside = (inside < above).select(inside, below)
    number = inside.cast(operation, wide)
    number = (value >= above).select(high, number)
    number = value.is_nan().select(0, number)
    return number.cast("trunc", MEMORY_TYPE[target])


def as_bits(value: Register, dtype: str) -> Register:
    """The bytes that memory would hold, as an integer."""
    kind = MEMORY_TYPE[dtype]
    name = to_memory(value.function, dtype, value.name, value.width)
    raw = Register(value.function, kind, value.width, name)
    return raw.bitcast(f"i{kind_bits(kind)}")


def from_bits(bits: Register, dtype: str) -> Register:
    """The value whose bytes are given."""
    raw = bits.bitcast(MEMORY_TYPE[dtype])
    name = to_register(raw.function, dtype, raw.name, raw.width)
    return Register(raw.function, REGISTER_TYPE[dtype], raw.width, name)


def bitcast(value: Register, source: str, target: str) -> Register:
    """The same bytes under another dtype of the same width."""
    return value if source == target else from_bits(as_bits(value, source), target)


def next_after(start: Register, goal: Register, dtype: str) -> Register:
    """The neighbour of `start` towards `goal`."""
    a, b = as_bits(start, dtype), as_bits(goal, dtype)
    sign = 1 << (a.bits - 1)
    size_a, size_b = a & (sign - 1), b & (sign - 1)
    inwards = size_a.compare("ugt", size_b) | ((a ^ b) < 0)
    moved = a + inwards.select(a.full(-1), 1)
    moved = size_a.equal(0).select((b & -sign) | 1, moved)
    moved = start.equal(goal).select(b, moved)
    nan = int.from_bytes(
        {"bfloat16": b"\xc0\x7f", "float16": b"\x00\x7e"}.get(dtype, b""), "little"
    )
    nan = nan or (0x7FC00000 if dtype == "float32" else 0x7FF8000000000000)
    lost = start.compare("uno", goal)
    return from_bits(lost.select(nan, moved), dtype)


def reduce_precision(value: Register, dtype: str, exponent: int, mantissa: int) -> Register:
    """Rounded to nearest even, in a float with so many bits; too small becomes zero."""
    bits = before = as_bits(value, dtype)
    full_mantissa = MANTISSA[dtype]
    full_exponent = bits.bits - 1 - full_mantissa
    sign = bits & -(1 << (bits.bits - 1))
    if mantissa < full_mantissa:
        drop = full_mantissa - mantissa
        odd = bits.shift_right(drop) & 1
        bits = (bits + (odd + ((1 << (drop - 1)) - 1))) & -(1 << drop)
    if exponent < full_exponent:
        bias, reduced = (1 << (full_exponent - 1)) - 1, (1 << (exponent - 1)) - 1
        mask = ((1 << full_exponent) - 1) << full_mantissa
        power = bits & mask
        over = power > (bias + reduced) << full_mantissa
        under = power <= (bias - reduced) << full_mantissa
        bits = over.select(sign | mask, under.select(sign, bits))
    return from_bits(value.is_nan().select(before, bits), dtype)
