"""Rewrite: chains over the rows of a data set become `strips`.

A *row dimension* runs through a chain of operations (a matrix product with the rows free,
elementwise work, a product that contracts the rows again). Run whole, its intermediates outgrow a
tile's memory; so the chain becomes one node whose body does a strip of rows, from inputs to sums,
in L1 and L2:

    strips  (consts, xs) -> (ys, sums)      params consts, ys, rows, axes, strip, strips
        bodies: (consts, x) -> (y, partial sums), for `strip` rows; if rows % strip, another for the
        rest

There is at least one x; `axes` says which dimension of each is the rows: the first or the last. In
ys and in the body *the row dimension comes last*: rows lie in vector lanes, whatever the widths of
the layers. An x that a product sums over the rows is given again with its rows first: there
lanes run along its other dimension. ys are put together along their rows. Sums: several strips
have 2^j leaves of the law each, so that their sums are nodes of its tree (`graph/law.py`): strips,
and any grouping of them, change no bit. Sums of 16-bit floats leave the strips in float32.

Rows whose values depend on a sum over the same rows (a normaliser) fall in a later phase: a
`strips` node of their own.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from tilewright.graph.ir import Builder, Graph, Node, Type, Value
from tilewright.graph.law import LEAF, accumulation_dtype
from tilewright.graph.ops import ELEMENTWISE
from tilewright.graph.rows import is_member, is_sum, row_classes
from tilewright.machine.machine import Machine

SHARE = 5 / 32
"""Of a tile's memory, for the rows that a strip's products read and write: beside them lie weights,
what is elementwise, and the next strip on its way (160 KiB of 1 MiB did best on Zen 4)."""
MAX_STRIP = 1024
"""Rows beyond which vertices are so long that calling them costs nothing."""


def make_strips(graph: Graph, machine: Machine) -> Graph:
    """The same graph with every worthwhile chain over rows, in all bodies, made a `strips` node."""
    nodes = tuple(_with_bodies(node, machine) for node in graph.nodes)
    graph = Graph(graph.inputs, nodes, graph.outputs)
    for rows in row_classes(graph):
        graph = _Chain(graph, rows, machine.tile.memory).rewritten()
    return graph


def _with_bodies(node: Node, machine: Machine) -> Node:
    if not node.bodies or node.op == "strips":
        return node
    bodies = tuple(make_strips(body, machine) for body in node.bodies)
    return Node(node.op, node.inputs, node.outputs, node.params, bodies, node.source)


@dataclass
class _Phase:
    members: list[Node]
    sums: list[Node]


class _Chain:
    """One class of rows in one graph, cut into phases and rewritten."""

    def __init__(self, graph: Graph, rows: dict[Value, int], memory: int):
        self.graph = graph
        self.memory = memory
        self.rows = rows
        self.producers = graph.producers()
        value, dimension = next(iter(rows.items()))
        self.length = value.shape[dimension]
        self.phases = self._phases()

    def _phases(self) -> dict[int, _Phase]:
        """Members and sums by phase: what depends on a phase's results comes later."""
        inside: dict[Value, int] = {}
        outside: dict[Value, int] = defaultdict(int)
        phases: dict[int, _Phase] = defaultdict(lambda: _Phase([], []))
        for node in self.graph.nodes:
            member, total = is_member(node, self.rows), is_sum(node, self.rows)
            if member or total:
                phase = max(
                    (inside[v] if v in inside else outside[v] for v in node.inputs), default=0
                )
                (phases[phase].members if member else phases[phase].sums).append(node)
                if member:
                    inside[node.output] = phase
                outside[node.output] = phase + 1
            else:
                phase = max((outside[v] for v in node.inputs), default=0)
                for value in node.outputs:
                    outside[value] = phase
        return {p: phase for p, phase in phases.items() if self._is_chain(phase)}

    def _is_chain(self, phase: _Phase) -> bool:
        """Whether there is a product to save memory for, and rows that come from outside."""
        made = {node.output for node in phase.members}
        read = {v for node in (*phase.members, *phase.sums) for v in node.inputs}
        has_product = any(node.op == "dot" for node in phase.members)
        return has_product and any(v in self.rows for v in read - made)

    def rewritten(self) -> Graph:
        gone = {n for phase in self.phases.values() for n in (*phase.members, *phase.sums)}
        builder = Builder()
        renamed: dict[Value, Value] = {}
        for phase in self.phases.values():
            self._add_phase(builder, phase, renamed)
        kept = [node for node in self.graph.nodes if node not in gone]
        nodes = [*kept, *builder.nodes]
        renamed_nodes = [
            Node(
                n.op,
                tuple(renamed.get(v, v) for v in n.inputs),
                n.outputs,
                n.params,
                n.bodies,
                n.source,
            )
            for n in nodes
        ]
        outputs = tuple(renamed.get(v, v) for v in self.graph.outputs)
        return Graph(self.graph.inputs, in_order(renamed_nodes), outputs)

    def _add_phase(self, builder: Builder, phase: _Phase, renamed: dict[Value, Value]) -> None:
        """Append one `strips` node, with the layout changes before and after it."""
        made = {node.output for node in phase.members}
        nodes = [n for n in self.graph.nodes if n in set(phase.members) | set(phase.sums)]
        read = list(dict.fromkeys(v for node in nodes for v in node.inputs if v not in made))
        xs = [v for v in read if v in self.rows]
        consts = [v for v in read if v not in self.rows and not self._is_literal(v)]
        literals = [v for v in read if v not in self.rows and self._is_literal(v)]
        used = {v for n in self.graph.nodes if n not in nodes for v in n.inputs}
        used |= set(self.graph.outputs)
        ys = [node.output for node in phase.members if node.output in used]
        sums = [node.output for node in phase.sums]
        strip = self._strip_rows(nodes, xs)
        firsts = self._firsts(phase.sums, xs)
        plan = _BodyPlan(self.rows, self.producers, nodes, consts, literals, xs, firsts, ys, sums)
        kept = [Type(accumulation_dtype(v.dtype), plan.sum_shape(v)) for v in sums]
        sizes = [strip] + ([self.length % strip] if self.length % strip else [])
        inputs = consts + [self._row_last(builder, v) for v in xs]
        axes = [len(v.shape) - 1 for v in xs] + [0] * len(firsts)
        inputs += [self._row_first(builder, v) for v in firsts]
        types = [_row_last_type(v, self.rows[v], self.length) for v in ys]
        outputs = builder.add(
            "strips",
            inputs,
            types + kept,
            bodies=[plan.body(size) for size in sizes],
            consts=len(consts),
            ys=len(ys),
            rows=self.length,
            axes=tuple(axes),
            strip=strip,
            strips=-(-self.length // strip),
        )
        for value, result in zip(ys, outputs, strict=False):
            renamed[value] = _row_back(builder, result, self.rows[value])
        for value, result in zip(sums, outputs[len(ys) :], strict=True):
            if plan.is_turned(self.producers[value]):
                result = builder.op("transpose", result, permutation=(1, 0))
            same = value.dtype == result.dtype
            renamed[value] = result if same else builder.op("convert", result, dtype=value.dtype)

    def _is_literal(self, value: Value) -> bool:
        """A scalar constant: written into the body itself."""
        node = self.producers.get(value)
        return node is not None and node.op == "constant" and value.type.size == 1

    def _row_last(self, builder: Builder, value: Value) -> Value:
        """A dense copy with the rows last (none needed for a vector); loops hoist it."""
        row = self.rows[value]
        if row == len(value.shape) - 1:
            return value
        order = (*(i for i in range(len(value.shape)) if i != row), row)
        return builder.op("copy", builder.op("transpose", value, permutation=order))

    def _firsts(self, sums: list[Node], xs: list[Value]) -> list[Value]:
        """Matrices that products of matrices sum over the rows."""
        products = [node for node in sums if node.op == "dot"]
        read = [v for node in products if is_product_of_matrices(node) for v in node.inputs]
        return list(dict.fromkeys(v for v in read if v in xs))

    def _row_first(self, builder: Builder, value: Value) -> Value:
        if self.rows[value] == 0:
            return value
        return builder.op("copy", builder.op("transpose", value, permutation=(1, 0)))

    def _strip_rows(self, nodes: list[Node], xs: list[Value]) -> int:
        """Rows of a strip: what products read and write should stay in a share of the memory."""
        held = set(xs)
        for node in nodes:
            if node.op == "dot":
                held |= {v for v in (*node.inputs, *node.outputs) if v in self.rows}
        width = sum(v.type.nbytes // self.length for v in held)
        fitting = int(SHARE * self.memory) // max(width, 1)
        return _strip(self.length, max(LEAF, min(MAX_STRIP, fitting)))


def _strip(length: int, most: int) -> int:
    """All rows, if they are no more; else a node of the law's tree."""
    if length <= most:
        return length
    leaves = max(1, most // LEAF)
    return LEAF << (leaves.bit_length() - 1)


def is_product_of_matrices(node: Node) -> bool:
    """Whether both operands are matrices: then the law takes their sums in sequence."""
    return all(len(v.shape) == 2 for v in node.inputs)


def _row_last_type(value: Value, row: int, length: int) -> Type:
    rest = tuple(n for i, n in enumerate(value.shape) if i != row)
    return Type(value.dtype, (*rest, length))


def _row_back(builder: Builder, result: Value, row: int) -> Value:
    last = len(result.shape) - 1
    if row == last:
        return result
    order = (*range(row), last, *range(row, last))
    return builder.op("transpose", result, permutation=order)


@dataclass
class _BodyPlan:
    """What a strip's body reads, computes and gives; `body(size)` builds it for `size` rows.

    `firsts` are those of the xs that it reads with their rows first, too.
    """

    rows: dict[Value, int]
    producers: dict[Value, Node]
    nodes: list[Node]
    consts: list[Value]
    literals: list[Value]
    xs: list[Value]
    firsts: list[Value]
    ys: list[Value]
    sums: list[Value]

    def is_turned(self, node: Node) -> bool:
        """Whether a sum is computed transposed: lanes run along the operand with its rows first."""
        if node.op != "dot" or not is_product_of_matrices(node):
            return False
        lhs, rhs = node.inputs
        return lhs in self.firsts and rhs not in self.firsts

    def sum_shape(self, value: Value) -> tuple[int, ...]:
        return value.shape[::-1] if self.is_turned(self.producers[value]) else value.shape

    def body(self, size: int) -> Graph:
        types = [v.type for v in self.consts]
        types += [_row_last_type(v, self.rows[v], size) for v in self.xs]
        types += [Type(v.dtype, (size, v.shape[1 - self.rows[v]])) for v in self.firsts]
        builder = Builder(types)
        here = dict(zip([*self.consts, *self.xs], builder.inputs, strict=False))
        self.rows_first = dict(zip(self.firsts, builder.inputs[len(here) :], strict=True))
        for value in self.literals:
            here[value] = builder.constant(self.producers[value].params["value"])
        for node in self.nodes:
            builder.source = node.source
            here[node.output] = self._translate(builder, node, here, size)
        return builder.graph([here[v] for v in (*self.ys, *self.sums)])

    def _translate(
        self, builder: Builder, node: Node, here: dict[Value, Value], size: int
    ) -> Value:
        operands = [here[v] for v in node.inputs]
        if node.op in ELEMENTWISE:
            kind = Type(node.output.dtype, operands[0].shape)
            return builder.add(node.op, operands, [kind], **node.params)[0]
        return _TRANSLATE[node.op](self, builder, node, operands, size)

    def _shape(self, value: Value, size: int) -> tuple[int, ...]:
        if value not in self.rows:
            return value.shape
        return _row_last_type(value, self.rows[value], size).shape

    def _axis(self, value: Value, axis: int) -> int:
        """Where a dimension of a value is once its row dimension has moved to the end."""
        row = self.rows.get(value)
        if row is None or axis < row:
            return axis
        return len(value.shape) - 1 if axis == row else axis - 1

    def broadcast(self, builder, node, operands, size):
        (source,), (value,) = node.inputs, operands
        target = [self._axis(node.output, j) for j in node.params["dimensions"]]
        if source in self.rows:
            row = self.rows[source]
            moved = target.pop(row)
            target.append(moved)
        row = self.rows[node.output]
        if source not in self.rows and row in node.params["dimensions"]:
            narrow = node.params["dimensions"].index(row)
            shape = tuple(n for i, n in enumerate(source.shape) if i != narrow)
            value = builder.op("reshape", value, shape=shape)
            target.pop(narrow)
        shape = self._shape(node.output, size)
        return builder.op("broadcast", value, shape=shape, dimensions=tuple(target))

    def reshape(self, builder, node, operands, size):
        return builder.op("reshape", operands[0], shape=self._shape(node.output, size))

    def transpose(self, builder, node, operands, size):
        source, out = node.inputs[0], node.output
        order = [0] * len(out.shape)
        for j, i in enumerate(node.params["permutation"]):
            order[self._axis(out, j)] = self._axis(source, i)
        return builder.op("transpose", operands[0], permutation=tuple(order))

    def slice(self, builder, node, operands, size):
        source = node.inputs[0]
        row = self.rows[source]
        others = [i for i in range(len(source.shape)) if i != row]
        return builder.op(
            "slice",
            operands[0],
            start=(*(node.params["start"][i] for i in others), 0),
            limit=(*(node.params["limit"][i] for i in others), size),
            stride=(*(node.params["stride"][i] for i in others), 1),
        )

    def concatenate(self, builder, node, operands, size):
        dimension = self._axis(node.output, node.params["dimension"])
        return builder.op("concatenate", *operands, dimension=dimension)

    def reduce(self, builder, node, operands, size):
        (source,), (value,) = node.inputs, operands
        kind, axes = node.params["kind"], node.params["axes"]
        if node.output in self.rows:
            axes = tuple(sorted(self._axis(source, a) for a in axes))
            return builder.op("reduce", value, kind=kind, axes=axes)
        # Over the rows: terms are numbered as the axes stand, so they are put back.
        wide = accumulation_dtype(value.dtype)
        if wide != value.dtype:
            value = builder.op("convert", value, dtype=wide)
        if axes != (self.rows[source],):
            value = _row_back(builder, value, self.rows[source])
            return builder.op("reduce", value, kind=kind, axes=axes)
        return builder.op("reduce", value, kind=kind, axes=(len(value.shape) - 1,))

    def dot(self, builder, node, operands, size):
        (lhs, rhs), (left, right) = node.inputs, operands
        if node.output not in self.rows and {lhs, rhs} & set(self.firsts):
            return self._dot_over_rows(builder, node, operands)
        axes = [
            tuple(
                tuple(self._axis(v, a) for a in side)
                for v, side in zip((lhs, rhs), pair, strict=True)
            )
            for pair in (node.params["contract"], node.params["batch"])
        ]
        extra = {k: v for k, v in node.params.items() if k not in ("contract", "batch")}
        if node.output not in self.rows:
            extra["dtype"] = accumulation_dtype(node.output.dtype)
        if node.output not in self.rows or rhs in self.rows:
            return builder.op("dot", left, right, contract=axes[0], batch=axes[1], **extra)
        flipped = [(pair[1], pair[0]) for pair in axes]
        result = builder.op("dot", right, left, contract=flipped[0], batch=flipped[1], **extra)
        batch, taken = len(axes[1][0]), len(axes[0][0])
        free_right = len(right.shape) - batch - taken
        free_left = len(left.shape) - batch - taken - 1
        if not free_left or not free_right:
            return result
        middle = batch + free_right
        order = (
            *range(batch),
            *range(middle, middle + free_left),
            *range(batch, middle),
            middle + free_left,
        )
        return builder.op("transpose", result, permutation=order)

    def _dot_over_rows(self, builder, node, operands):
        """The operand with its rows first comes second."""
        (lhs, rhs), (left, right) = node.inputs, operands
        if self.is_turned(node):
            left, rhs = right, lhs
        contract, dtype = ((1,), (0,)), accumulation_dtype(node.output.dtype)
        params = dict(node.params) | {"contract": contract, "dtype": dtype}
        return builder.op("dot", left, self.rows_first[rhs], **params)


_TRANSLATE = {
    name: getattr(_BodyPlan, name)
    for name in ("broadcast", "reshape", "transpose", "slice", "concatenate", "reduce", "dot")
}


def in_order(nodes: list[Node]) -> tuple[Node, ...]:
    """The nodes so that each comes after those it reads, otherwise as given."""
    producers = {v: node for node in nodes for v in node.outputs}
    done: set[Node] = set()
    result: list[Node] = []
    for first in nodes:
        stack = [first]
        while stack:
            node = stack[-1]
            if node in done:
                stack.pop()
                continue
            waiting = [
                producers[v] for v in node.inputs if v in producers and producers[v] not in done
            ]
            if waiting:
                stack += waiting
            else:
                stack.pop()
                done.add(node)
                result.append(node)
    return tuple(result)
