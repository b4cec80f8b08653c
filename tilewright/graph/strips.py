"""Rewrite: chains over the rows of a data set become `strips`.

A *row dimension* runs through a chain of operations (a matrix product with the rows free,
elementwise work, a product that contracts the rows again). Run whole, its intermediates outgrow a
tile's memory; so the chain becomes one node whose body does a strip of rows, from inputs to sums,
in L1 and L2:

    strips  (consts, xs) -> (ys, sums)      params consts, ys, rows, strip, strips, groups
        bodies: (consts, x) -> (y, partial sums), for `strip` rows; if rows % strip, another for the
        rest

There is at least one x. In xs, ys and in the body *the row dimension comes last*: rows lie in
vector lanes, whatever the widths of the layers. ys are put together along it. Sums: the strips of a
group are added, from zero, one after the other; the groups' sums (and that of the rest) are then
stacked and reduced as `reduce` does. `groups` says how many strips each has, in runs of equal ones.
All this follows from shapes alone, so it gives the same bits wherever the strips are run.

Rows whose values depend on a sum over the same rows (a normaliser) fall in a later phase: a
`strips` node of their own.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from tilewright.graph.ir import Builder, Graph, Node, Type, Value
from tilewright.graph.ops import ELEMENTWISE
from tilewright.graph.rows import is_member, is_sum, row_classes
from tilewright.machine.machine import Machine

STRIP_BYTES = 160 * 1024
MIN_STRIP, MAX_STRIP = 256, 1024
SINGLE_STRIPS = 48
"""Up to so many strips, each is a group."""
TAPER, LAST_GROUPS = ((0.75, 16), (0.7, 12)), 16
"""Else groups taper off: (share of what remains, how many groups it makes), then the last ones."""


def make_strips(graph: Graph, machine: Machine) -> Graph:
    """The same graph with every worthwhile chain over rows, in all bodies, made a `strips` node."""
    nodes = tuple(_with_bodies(node, machine) for node in graph.nodes)
    graph = Graph(graph.inputs, nodes, graph.outputs)
    for rows in row_classes(graph):
        graph = _Chain(graph, rows).rewritten()
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
            groups=_groups(count),
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
        most = max(MIN_STRIP, min(MAX_STRIP, STRIP_BYTES // max(width, 1)))
        return _even_strip(self.length, most)


def _even_strip(length: int, most: int) -> int:
    """About `most` rows, in whole vectors; a number that divides the rows if there is one."""
    if length <= most:
        return length
    strips = -(-length // most)
    usual = min(length, -(-length // (16 * strips)) * 16)
    near = range(16 * (most * 3 // 64), most * 9 // 8, 16)
    even = [n for n in near if n and length % n == 0]
    return min(even, key=lambda n: abs(n - most), default=usual)


def _groups(count: int) -> tuple[tuple[int, int], ...]:
    """Runs of (how many groups, strips in each): long ones first, so that tiles end together.

    The long ones keep the number of sums small; a tile that is done early waits for a short one.
    """
    if count <= SINGLE_STRIPS:
        return ((count, 1),) if count else ()
    runs = []
    for share, number in TAPER:
        length = max(1, int(count * share) // number)
        runs.append((number, length))
        count -= number * length
    length = -(-count // LAST_GROUPS)
    full, rest = divmod(count, length)
    return (*runs, (full, length), *([(1, rest)] if rest else []))


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
    """What a strip's body reads, computes and gives; `body(size)` builds it for `size` rows."""

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
            tuple(
                tuple(self._axis(v, a) for a in side)
                for v, side in zip((lhs, rhs), pair, strict=True)
            )
            for pair in (node.params["contract"], node.params["batch"])
        ]
        extra = {k: v for k, v in node.params.items() if k not in ("contract", "batch")}
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
