"""LLVM registers that are computed with like numbers: `x * y + 1.5` writes two instructions.

In: a `Function` being written and the names of its registers. Out: new registers in it. A
`Register` is a scalar (width 0) or a vector; plain Python numbers beside one are the same
constant in every lane. Always: one instruction an operation, none contracted; integers are signed
in comparisons, unless said otherwise.
"""

from __future__ import annotations

import struct
from dataclasses import replace

from tilewright.codelets.emit.llvm import Function, Module, vector
from tilewright.codelets.emit.vectors import kind_bits, suffix
from tilewright.frozen import frozen

FLOAT_KINDS = ("float", "double", "half")


def literal(kind: str, value: float) -> str:
    """A number as a scalar LLVM constant; floats by their bits."""
    if kind == "i1":
        return "true" if value else "false"
    if kind not in FLOAT_KINDS:
        return str(int(value))
    if kind == "half":
        return f"0xH{struct.unpack('<H', struct.pack('<e', value))[0]:04X}"
    if kind == "float" and abs(value) != float("inf"):
        value = struct.unpack("<f", struct.pack("<f", value))[0]
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


def constant(kind: str, value: float, width: int) -> str:
    """A number in every lane."""
    text = literal(kind, value)
    return f"splat ({kind} {text})" if width else text


@frozen(eq=False)
class Register:
    """One value of a function; `kind` is the LLVM type of a lane, `name` a register or constant."""

    function: Function
    kind: str
    width: int
    name: str

    @property
    def type(self) -> str:
        return vector(self.kind, self.width)

    @property
    def bits(self) -> int:
        return kind_bits(self.kind)

    @property
    def is_float(self) -> bool:
        return self.kind in FLOAT_KINDS

    def text(self, other: Register | float) -> str:
        """The name of an operand beside this one."""
        if isinstance(other, Register):
            return other.name
        return constant(self.kind, other, self.width)

    def full(self, value: float, kind: str = "") -> Register:
        """A constant in every lane."""
        kind = kind or self.kind
        return replace(self, kind=kind, name=constant(kind, value, self.width))

    def let(self, text: str, kind: str = "") -> Register:
        return Register(self.function, kind or self.kind, self.width, self.function.let(text))

    def operate(self, operation: str, other: Register | float) -> Register:
        """A binary instruction by name."""
        return self.let(f"{operation} {self.type} {self.name}, {self.text(other)}")

    def intrinsic(self, name: str, *others: Register | float, flags: str = "") -> Register:
        """An intrinsic on operands of one type: `x.intrinsic("fma", y, z)`."""
        symbol = f"llvm.{name}.{suffix(self.kind, self.width)}"
        names = [self.name, *(self.text(other) for other in others)]
        declared = [self.type] * len(names)
        arguments = ", ".join(f"{self.type} {operand}" for operand in names)
        if flags:
            declared.append("i1 immarg")
            arguments += f", i1 {flags}"
        self.function.module.declare(symbol, self.type, *declared)
        return self.let(f"call {self.type} @{symbol}({arguments})")

    def call(self, symbol: str, *others: Register) -> Register:
        """A function of the module, whose operands and result are of one type."""
        pairs = [(self.type, operand.name) for operand in (self, *others)]
        return replace(self, name=self.function.call(self.type, symbol, *pairs))

    def cast(self, operation: str, kind: str) -> Register:
        """A conversion by its instruction's name; none if the type is the same."""
        if kind == self.kind:
            return self
        target = vector(kind, self.width)
        return self.let(f"{operation} {self.type} {self.name} to {target}", kind)

    def bitcast(self, kind: str) -> Register:
        return self.cast("bitcast", kind)

    def compare(self, condition: str, other: Register | float) -> Register:
        """An `fcmp` or `icmp`."""
        operation = "fcmp" if self.is_float else "icmp"
        return self.let(
            f"{operation} {condition} {self.type} {self.name}, {self.text(other)}", "i1"
        )

    def select(self, yes: Register | float, no: Register | float) -> Register:
        """Where this i1 holds, `yes`; at least one of the two is a register."""
        like = yes if isinstance(yes, Register) else no
        assert isinstance(like, Register)
        return like.let(
            f"select {self.type} {self.name}, "
            f"{like.type} {like.text(yes)}, {like.type} {like.text(no)}"
        )

    def lanes(self, picks: list[int]) -> Register:
        """A vector of other lanes, at another width; -1 leaves a lane undefined."""
        indices = ", ".join("i32 poison" if lane < 0 else f"i32 {lane}" for lane in picks)
        name = self.function.let(
            f"shufflevector {self.type} {self.name}, {self.type} poison, "
            f"<{len(picks)} x i32> <{indices}>"
        )
        return replace(self, width=len(picks), name=name)

    def in_step(self) -> Register:
        """The same number, known only when all of several machine registers are computed.

        Where registers are few, LLVM computes one after the other to save some, and a processor
        waits for each: chains that are tied together here and there are written side by side.
        """
        lanes = self.function.module.features.vector_bits // self.bits
        if self.kind != "float" or self.width != 4 * lanes or lanes != 8:
            return self
        symbol = f"tw_in_step_x{self.width}"
        if symbol not in self.function.module.functions:
            _define_in_step(self.function.module, symbol, lanes)
        return self.call(symbol)

    def beside(self, other: Register) -> Register:
        """The lanes of this vector, then those of another of the same width."""
        picks = ", ".join(f"i32 {lane}" for lane in range(2 * self.width))
        name = self.function.let(
            f"shufflevector {self.type} {self.name}, {other.type} {other.name}, "
            f"<{2 * self.width} x i32> <{picks}>"
        )
        return replace(self, width=2 * self.width, name=name)

    # Arithmetic.

    def fma(self, factor: Register | float, addend: Register | float) -> Register:
        """self * factor + addend, rounded once."""
        return self.intrinsic("fma", factor, addend)

    def __add__(self, other: Register | float) -> Register:
        return self.operate("fadd" if self.is_float else "add", other)

    def __sub__(self, other: Register | float) -> Register:
        return self.operate("fsub" if self.is_float else "sub", other)

    def __mul__(self, other: Register | float) -> Register:
        return self.operate("fmul" if self.is_float else "mul", other)

    def __truediv__(self, other: Register | float) -> Register:
        return self.operate("fdiv", other)

    def __rsub__(self, other: float) -> Register:
        return self.full(other) - self

    def __rtruediv__(self, other: float) -> Register:
        return self.full(other) / self

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> Register:
        if self.is_float:
            return self.let(f"fneg {self.type} {self.name}")
        return self.full(0) - self

    # Bits.

    def __and__(self, other: Register | int) -> Register:
        return self.operate("and", other)

    def __or__(self, other: Register | int) -> Register:
        return self.operate("or", other)

    def __xor__(self, other: Register | int) -> Register:
        return self.operate("xor", other)

    def __invert__(self) -> Register:
        return self.operate("xor", 1 if self.kind == "i1" else -1)

    def __lshift__(self, other: Register | int) -> Register:
        return self.operate("shl", other)

    def shift_right(self, other: Register | int) -> Register:
        """Zeros come in from the left."""
        return self.operate("lshr", other)

    def shift_right_signed(self, other: Register | int) -> Register:
        return self.operate("ashr", other)

    # Comparisons: NaN is unequal to everything, below and above nothing.

    def __lt__(self, other: Register | float) -> Register:
        return self.compare("olt" if self.is_float else "slt", other)

    def __le__(self, other: Register | float) -> Register:
        return self.compare("ole" if self.is_float else "sle", other)

    def __gt__(self, other: Register | float) -> Register:
        return self.compare("ogt" if self.is_float else "sgt", other)

    def __ge__(self, other: Register | float) -> Register:
        return self.compare("oge" if self.is_float else "sge", other)

    def equal(self, other: Register | float) -> Register:
        return self.compare("oeq" if self.is_float else "eq", other)

    def unequal(self, other: Register | float) -> Register:
        return self.compare("une" if self.is_float else "ne", other)

    def is_nan(self) -> Register:
        return self.compare("uno", self)

    # Floats.

    def magnitude(self) -> Register:
        return self.intrinsic("fabs")

    def with_sign_of(self, other: Register | float) -> Register:
        return self.intrinsic("copysign", other)


def _define_in_step(module: Module, symbol: str, lanes: int) -> None:
    """Assembly without instructions, that reads and writes all quarters of a vector."""
    row, quarter = vector("float", 4 * lanes), vector("float", lanes)
    function = module.function(symbol, row, [row], "alwaysinline nounwind")
    whole = Register(function, "float", 4 * lanes, function.argument(0))
    quarters = [whole.lanes([*range(i * lanes, (i + 1) * lanes)]).name for i in range(4)]
    names = ", ".join(f"{quarter} {name}" for name in quarters)
    four = "{ " + ", ".join([quarter] * 4) + " }"
    tied = function.let(f'call {four} asm "", "=x,=x,=x,=x,0,1,2,3"({names})')
    parts = [
        Register(function, "float", lanes, function.let(f"extractvalue {four} {tied}, {i}"))
        for i in range(4)
    ]
    halves = [parts[i].beside(parts[i + 1]) for i in (0, 2)]
    function.close(f"{row} {halves[0].beside(halves[1]).name}")
