"""Rewrite: chains over the rows of a data set become `strips`.

A *row dimension* runs through a chain of operations (a matrix product with the rows free, elementwise
work, a product that contracts the rows again). Run whole, its intermediates outgrow a tile's memory;
so the chain becomes one node whose body does a strip of rows, from inputs to sums, in L1 and L2:

    strips  (consts, xs) -> (ys, sums)      params consts, ys, rows, strip, group
        bodies: (consts, x) -> (y, partial sums), for `strip` rows; if rows % strip, another for the rest

In xs, ys and in the body *the row dimension comes last*: rows lie in vector lanes, whatever the widths
of the layers. ys are put together along it. Sums: `group` strips in turn are added, from zero, one
after the other; the groups' sums (and that of the rest) are then stacked and reduced as `reduce` does.
All this follows from shapes alone, so it gives the same bits wherever the strips are run.

Rows whose values depend on a sum over the same rows (a normaliser) fall in a later phase: a `strips`
node of their own.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from tilewright.graph.ir import Builder, Graph, Node, Type, Value
from tilewright.graph.ops import ELEMENTWISE

MIN_ROWS = 64
MIN_WORK = 20_000
STRIP_BYTES = 128 * 1024
MAX_GROUPS = 64

Slot = tuple[Value, int]
"""A dimension of a value."""


def make_strips(graph: Graph) -> Graph:
    """The same graph with every worthwhile chain over rows, in all bodies, made a `strips` node."""
    nodes = tuple(_with_bodies(node) for node in graph.nodes)
    graph = Graph(graph.inputs, nodes, graph.outputs)
    for rows in _row_classes(graph):
        graph = _Chain(graph, rows).rewritten()
    return graph


def _with_bodies(node: Node) -> Node:
    if not node.bodies or node.op == "strips":
        return node
    bodies = tuple(make_strips(body) for body in node.bodies)
    return Node(node.op, node.inputs, node.outputs, node.params, bodies, node.source)


# --- which dimensions are the same rows -----------------------------------------------------------


class _Classes:
    """Union-find over dimensions of values."""

    def __init__(self):
        self.parent: dict[Slot, Slot] = {}

    def find(self, slot: Slot) -> Slot:
        path = []
        while (above := self.parent.setdefault(slot, slot)) is not slot:
            path.append(slot)
            slot = above
        for below in path:
            self.parent[below] = slot
        return slot

    def join(self, one: Slot, other: Slot) -> None:
        first, second = self.find(one), self.find(other)
        if first is not second:
            self.parent[second] = first


def _row_classes(graph: Graph) -> list[dict[Value, int]]:
    """Classes worth making strips of, as {value: row dimension}, the largest first, disjoint."""
    classes = _Classes()
    for node in graph.nodes:
        for one, other in _links(node):
            classes.join(one, other)
    members: dict[Slot, list[Slot]] = defaultdict(list)
    for slot in list(classes.parent):
        members[classes.find(slot)].append(slot)
    rows = []
    for slots in members.values():
        table = dict(slots)
        if len(table) == len(slots) and slots[0][0].shape[slots[0][1]] >= MIN_ROWS:
            rows.append(table)
    rows.sort(key=lambda table: -sum(value.type.size for value in table))
    chosen: list[dict[Value, int]] = []
    for table in rows:
        taken = any(value in other for other in chosen for value in table)
        if not taken and _is_worthwhile(graph, table):
            chosen.append(table)
    return chosen


def _is_worthwhile(graph: Graph, rows: dict[Value, int]) -> bool:
    """A product that keeps the rows, and a sum over them that it leads to."""
    keeps = sums = False
    for node in graph.nodes:
        if node.op == "dot" and _is_member(node, rows):
            contract = node.params["contract"][0]
            depth = 1
            for axis in contract:
                depth *= node.inputs[0].shape[axis]
            keeps |= node.output.type.size * depth >= MIN_WORK
        sums |= _is_sum(node, rows) and any(
            _is_member(producer, rows)
            for producer in graph.nodes
            if any(v in producer.outputs for v in node.inputs)
        )
        if keeps and sums:
            return True
    return False


def _links(node: Node) -> list[tuple[Slot, Slot]]:
    """Pairs of dimensions, of operands and result, that run together."""
    if node.op in ELEMENTWISE:
        return [
            ((v, i), (node.output, i)) for v in node.inputs for i in range(len(v.shape))
        ]
    rule = _LINKS.get(node.op)
    return rule(node) if rule else []


def _broadcast_links(node: Node) -> list[tuple[Slot, Slot]]:
    (operand,), out = node.inputs, node.output
    pairs = enumerate(node.params["dimensions"])
    return [((operand, i), (out, j)) for i, j in pairs if operand.shape[i] == out.shape[j]]


def _transpose_links(node: Node) -> list[tuple[Slot, Slot]]:
    pairs = enumerate(node.params["permutation"])
    return [((node.inputs[0], i), (node.output, j)) for j, i in pairs]


def _reshape_links(node: Node) -> list[tuple[Slot, Slot]]:
    """Dimensions with the same number of elements before and inside."""
    old, new = node.inputs[0].shape, node.output.shape
    before: dict[tuple[int, int], int] = {}
    size = 1
    for i, n in enumerate(old):
        if n != 1:
            before[size, n] = i
        size *= n
    links, size = [], 1
    for j, n in enumerate(new):
        if n != 1 and (size, n) in before:
            links.append(((node.inputs[0], before[size, n]), (node.output, j)))
        size *= n
    return links


def _reduce_links(node: Node) -> list[tuple[Slot, Slot]]:
    kept = [i for i in range(len(node.inputs[0].shape)) if i not in node.params["axes"]]
    return [((node.inputs[0], i), (node.output, j)) for j, i in enumerate(kept)]


def _dot_links(node: Node) -> list[tuple[Slot, Slot]]:
    lhs, rhs = node.inputs
    contract, batch = node.params["contract"], node.params["batch"]
    links = [((lhs, i), (rhs, j)) for i, j in zip(*contract, strict=True)]
    links += [((lhs, i), (rhs, j)) for i, j in zip(*batch, strict=True)]
    links += [((lhs, i), (node.output, j)) for j, i in enumerate(batch[0])]
    at = len(batch[0])
    for value, axes in ((lhs, (*contract[0], *batch[0])), (rhs, (*contract[1], *batch[1]))):
        for i in range(len(value.shape)):
            if i not in axes:
                links.append(((value, i), (node.output, at)))
                at += 1
    return links


def _slice_links(node: Node) -> list[tuple[Slot, Slot]]:
    operand, out = node.inputs[0], node.output
    return [
        ((operand, i), (out, i)) for i, n in enumerate(operand.shape) if n == out.shape[i]
    ]


def _concatenate_links(node: Node) -> list[tuple[Slot, Slot]]:
    dimension = node.params["dimension"]
    return [
        ((v, i), (node.output, i))
        for v in node.inputs
        for i in range(len(v.shape))
        if i != dimension
    ]


_LINKS = {
    "broadcast": _broadcast_links,
    "transpose": _transpose_links,
    "reshape": _reshape_links,
    "reduce": _reduce_links,
    "dot": _dot_links,
    "slice": _slice_links,
    "concatenate": _concatenate_links,
}


def _is_member(node: Node, rows: dict[Value, int]) -> bool:
    """Whether a strip can compute its own rows of the node's result."""
    if len(node.outputs) != 1 or node.output not in rows:
        return False
    if node.op == "dot":
        lhs, rhs = node.inputs
        return (lhs in rows) != (rhs in rows) and _row_is_free(node, rows)
    if node.op == "slice":
        stride = node.params["stride"]
        return node.inputs[0] in rows and stride[rows[node.output]] == 1
    if node.op == "concatenate":
        return all(value in rows for value in node.inputs)
    if node.op in ("transpose", "reshape", "reduce"):
        return node.inputs[0] in rows
    return node.op in ELEMENTWISE or node.op == "broadcast"


def _row_is_free(node: Node, rows: dict[Value, int]) -> bool:
    side = 0 if node.inputs[0] in rows else 1
    row = rows[node.inputs[side]]
    contract, batch = node.params["contract"], node.params["batch"]
    return row not in contract[side] and row not in batch[side]


def _is_sum(node: Node, rows: dict[Value, int]) -> bool:
    """Whether the node adds up over the rows."""
    if node.op == "reduce":
        source = node.inputs[0]
        return node.params["kind"] == "sum" and rows.get(source) in node.params["axes"]
    if node.op != "dot":
        return False
    lhs, rhs = node.inputs
    contract, batch = node.params["contract"], node.params["batch"]
    if lhs not in rows or rhs not in rows or batch[0]:
        return False
    return contract == ((rows[lhs],), (rows[rhs],))


# --- the chain as nodes of its own ----------------------------------------------------------------


@dataclass
class _Phase:
    members: list[Node]
    sums: list[Node]


class _Chain:
    """One class of rows in one graph, cut into phases and rewritten."""

    def __init__(self, graph: Graph, rows: dict[Value, int]):
        self.graph = graph
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
            member, total = _is_member(node, self.rows), _is_sum(node, self.rows)
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
        return {p: phase for p, phase in phases.items() if any(n.op == "dot" for n in phase.members)}

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
        plan = _BodyPlan(self.rows, self.producers, nodes, consts, literals, xs, ys, sums)
        sizes = [strip] + ([self.length % strip] if self.length % strip else [])
        count = self.length // strip
        inputs = consts + [self._row_last(builder, v) for v in xs]
        types = [_row_last_type(v, self.rows[v], self.length) for v in ys]
        outputs = builder.add(
            "strips",
            inputs,
            types + [v.type for v in sums],
            bodies=[plan.body(size) for size in sizes],
            consts=len(consts),
            ys=len(ys),
            rows=self.length,
            strip=strip,
            strips=-(-self.length // strip),
            group=-(-count // MAX_GROUPS),
        )
        for value, result in zip(ys, outputs, strict=False):
            renamed[value] = _row_back(builder, result, self.rows[value])
        renamed.update(zip(sums, outputs[len(ys) :], strict=True))

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

    def _strip_rows(self, nodes: list[Node], xs: list[Value]) -> int:
        """Rows of a strip: what products read and write should stay in a fraction of an L2."""
        held = set(xs)
        for node in nodes:
            if node.op == "dot":
                held |= {v for v in (*node.inputs, *node.outputs) if v in self.rows}
        width = sum(v.type.nbytes // self.length for v in held)
        most = max(MIN_ROWS, min(1024, STRIP_BYTES // max(width, 1)))
        strips = -(-self.length // most)
        return min(self.length, -(-self.length // (16 * strips)) * 16)


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
    """What a strip's body reads, computes and gives; `body(size)` builds it for a number of rows."""

    rows: dict[Value, int]
    producers: dict[Value, Node]
    nodes: list[Node]
    consts: list[Value]
    literals: list[Value]
    xs: list[Value]
    ys: list[Value]
    sums: list[Value]

    def body(self, size: int) -> Graph:
        types = [v.type for v in self.consts]
        types += [_row_last_type(v, self.rows[v], size) for v in self.xs]
        builder = Builder(types)
        here = dict(zip([*self.consts, *self.xs], builder.inputs, strict=True))
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
        axes = tuple(sorted(self._axis(node.inputs[0], a) for a in node.params["axes"]))
        return builder.op("reduce", operands[0], kind=node.params["kind"], axes=axes)

    def dot(self, builder, node, operands, size):
        (lhs, rhs), (left, right) = node.inputs, operands
        axes = [
            tuple(tuple(self._axis(v, a) for a in side) for v, side in zip((lhs, rhs), pair))
            for pair in (node.params["contract"], node.params["batch"])
        ]
        extra = {k: v for k, v in node.params.items() if k not in ("contract", "batch")}
        if node.output not in self.rows or rhs in self.rows:
            return builder.op("dot", left, right, contract=axes[0], batch=axes[1], **extra)
        flipped = [(pair[1], pair[0]) for pair in axes]
        result = builder.op(
            "dot", right, left, contract=flipped[0], batch=flipped[1], **extra
        )
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
