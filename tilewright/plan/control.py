"""Loops, branches and maps: how a node with bodies becomes steps.

Carries have one buffer each for the whole loop. A body computes a new value straight into it where
nothing reads the old one any more, and otherwise beside it, copied at the end of the turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tilewright.frozen import frozen
from tilewright.graph.count import node_count
from tilewright.graph.ir import Graph, Node, Type, Value
from tilewright.machine.cost import is_worth_dealing
from tilewright.machine.machine import Machine
from tilewright.plan import views
from tilewright.plan.ir import Branch, Loop, Map, Step, Var, View, While, new_var
from tilewright.plan.masked import unmasked
from tilewright.plan.schedule import Unit
from tilewright.plan.scope import Plan, Scope


def lower_body(
    plan: Plan,
    graph: Graph,
    inputs: Sequence[View],
    wanted: Sequence[View],
    *,
    parallel: bool,
    owned: Sequence[Value] = (),
    padded: bool = False,
) -> tuple[Step, ...]:
    """The steps of a body whose outputs end up in the `wanted` views.

    A wanted view may be where an input lies (a loop's carry): it is written once that is read no
    more. Inputs that are `owned` may be overwritten.
    """
    scope = Scope(plan, graph, inputs, parallel=parallel, owned=owned, padded=padded)
    for output, view in zip(graph.outputs, wanted, strict=True):
        scope.want(output, view)
    plan.lower_units(scope)
    _settle(scope, wanted)
    return tuple(scope.steps)


def _settle(scope: Scope, wanted: Sequence[View]) -> None:
    """Copy what was not computed in its place; all is read before any of it is overwritten."""
    moves = []
    for output, target in zip(scope.graph.outputs, wanted, strict=True):
        move = _through_shape(scope, output, target) or (scope.view(output), target)
        if move[0] != move[1]:
            moves.append(move)
    if scope.plan.machine.chip.exchange.apart:
        moves = _in_order(scope, moves)
    writes = {target.buffer for _, target in moves}
    staged = [(source, unmasked(source).buffer in writes) for source, _ in moves]
    beside = [scope.new(Type(v.dtype, v.shape)) if conflict else v for v, conflict in staged]
    pairs = zip(staged, beside, strict=True)
    scope.copy_all([(source, safe) for (source, conflict), safe in pairs if conflict])
    scope.copy_all([(safe, move[1]) for safe, move in zip(beside, moves, strict=True)])


def _through_shape(scope: Scope, output: Value, target: View) -> tuple[View, View] | None:
    """What nobody else reads and no strides can say under its new shape (rows repeated, say) is
    copied once: to the target under the old one."""
    node = scope.producers.get(output)
    if node is None or node.op != "reshape" or output in scope.views:
        return None
    source = scope.view(node.inputs[0])
    if source.buffer.masked or views.reshape(source, output.shape) is not None:
        return None
    there = views.reshape(target, source.shape)
    return there and (source, there)


def _in_order(scope: Scope, moves: Sequence[tuple[View, View]]) -> list[tuple[View, View]]:
    """Copies made one by one, each before what it reads is overwritten, where tiles have little
    memory for more of it; those that are left read each other's."""
    left = list(moves)
    while left:
        ready = next(
            (
                move for move in left
                if all(move[1].buffer is not unmasked(o[0]).buffer for o in left if o is not move)
            ), None,
        )  # fmt: skip
        if ready is None or unmasked(ready[0]).buffer is ready[1].buffer:
            break
        scope.copy(*ready)
        left.remove(ready)
    return left


WORTH_TRACKING = 256
"""Elements of a carry from which on: loops of small vertices stay as they are."""


def _tracks(scope: Scope, node: Node) -> dict[Value, View]:
    """Of the carries that are stacked as a trip finds them, all their values: the initial one, and
    what each trip makes of it, so that nothing is copied. The stack is all but the last of them."""
    if node.op != "scan" or scope.plan.machine.chip.exchange.apart:
        return {}
    (body,), carry, first = node.bodies, node.params["carry"], node.params["consts"]
    found: dict[Value, View] = {}
    for inner, stack in zip(body.outputs[carry:], node.outputs[carry:], strict=True):
        place = body.inputs.index(inner) - first if inner in body.inputs else -1
        output = node.outputs[place]
        large = 0 <= place < carry and output.type.size >= WORTH_TRACKING
        if not large or output in found or stack in scope.destinations:
            continue
        length, *rest = stack.shape
        track = found[output] = scope.new(Type(stack.dtype, (length + 1, *rest)))
        backwards = node.params.get("reverse", False)
        scope.put(stack, views.window(track, (int(backwards), *(0 for _ in rest)), stack.shape))
    return found


def _carry_buffers(
    scope: Scope, node: Node, initial: Sequence[Value], tracks: Mapping[Value, View]
) -> list[View]:
    """One view for each carry, holding its initial value; of those with a track, that."""
    chosen, taken = [], set()
    for value, output in zip(initial, node.outputs, strict=False):
        if output in tracks:
            track, backwards = tracks[output], node.params.get("reverse", False)
            ends = [views.fixed_row(track, at) for at in (0, track.shape[0] - 1)]
            begin, end = reversed(ends) if backwards else ends
            scope.copy(scope.view(value), begin)
            scope.put(output, end)
            chosen.append(track)
            continue
        view = scope.view(value)
        destination = scope.destinations.get(output)
        reusable = destination is None or destination == view
        if reusable and view.buffer not in taken and scope.may_overwrite(value):
            taken.add(view.buffer)
            chosen.append(scope.put(output, view))
        else:
            target = scope.target(output)
            scope.copy(view, target)
            chosen.append(target)
    return chosen


@frozen
class Trips:
    """A scan, or a map, whose operands and results have their places; `kept` are its carries.

    Of a view among `rings`, trip i has row i modulo the number of its rows, not row i. Of a carry
    among `tracks`, each trip reads a row and makes the next one.
    """

    scope: Scope
    node: Node
    fixed: Sequence[View]
    kept: Sequence[View]
    xs: Sequence[View]
    stacked: Sequence[View]
    rings: Sequence[View] = ()
    tracks: Sequence[View] = ()

    @classmethod
    def of(cls, scope: Scope, node: Node) -> Trips:
        """Initial values are copied to where they are kept."""
        consts, carry = node.params["consts"], node.params.get("carry", 0)
        tracks = _tracks(scope, node)
        kept = _carry_buffers(scope, node, node.inputs[consts : consts + carry], tracks)
        stacked = [scope.views.get(v) or scope.target(v) for v in node.outputs[carry:]]
        fixed = [scope.view(v) for v in node.inputs[:consts]]
        xs = [scope.view(v) for v in node.inputs[consts + carry :]]
        return cls(scope, node, fixed, kept, xs, stacked, tracks=tuple(tracks.values()))

    def steps(
        self, var: Var, *, parallel: bool, ahead: int = 0, every: int = 1
    ) -> tuple[Step, ...]:
        """Of trip number `var` * `every` + `ahead`; of rings, `every` is a multiple of the rows."""
        backwards, (body,) = self.node.params.get("reverse", False), self.node.bodies

        def row(view: View, ahead: int = ahead) -> View:
            if view in self.rings:
                return views.fixed_row(view, ahead % view.shape[0])
            first = 0 if backwards else ahead
            start = (first, *(0 for _ in view.shape[1:]))
            rest = views.window(view, start, (view.shape[0] - ahead, *view.shape[1:]))
            return views.row(rest, var, backwards, every)

        before = [row(view) if view in self.tracks else view for view in self.kept]
        after = [row(view, ahead + 1) if view in self.tracks else view for view in self.kept]
        inputs = [*self.fixed, *before, *map(row, self.xs)]
        wanted = [*after, *map(row, self.stacked)]
        first = len(self.fixed)
        owned = body.inputs[first : first + len(self.kept)]
        plan = self.scope.plan
        return lower_body(plan, body, inputs, wanted, parallel=parallel, owned=owned)


def lower_scan(scope: Scope, unit: Unit) -> None:
    """A counted loop: (consts, carry, xs) -> (carry, ys)."""
    (node,) = unit.nodes
    trips, var, length = Trips.of(scope, node), new_var(), node.params["length"]
    if node.op == "map" and scope.parallel and _is_heavy(node, scope.plan.machine):
        steps, ways = trips.steps(var, parallel=False), node.params.get("ways", "")
        scope.steps.append(Map(var, length, steps, ways))
    else:
        scope.steps.append(Loop(var, length, trips.steps(var, parallel=scope.parallel)))


def _is_heavy(node: Node, machine: Machine) -> bool:
    """Whether the instances of a map are worth dealing out; a loop in them may run for long."""
    (body,) = node.bodies
    return node.params["length"] > 1 and (
        any(inner.op == "loop" for inner in body.nodes)
        or is_worth_dealing(node_count(node), machine)
    )


def lower_loop(scope: Scope, unit: Unit) -> None:
    """A while loop: (consts, carry) -> carry."""
    (node,) = unit.nodes
    consts = node.params["consts"]
    condition, body = node.bodies
    fixed = [scope.view(v) for v in node.inputs[:consts]]
    kept = _carry_buffers(scope, node, node.inputs[consts:], {})
    test = scope.new(condition.outputs[0].type)
    condition_steps = lower_body(
        scope.plan, condition, fixed + kept, [test], parallel=scope.parallel
    )
    steps = lower_body(
        scope.plan,
        body,
        fixed + kept,
        kept,
        parallel=scope.parallel,
        owned=body.inputs[consts:],
    )
    scope.steps.append(While(condition_steps, test, steps))


def lower_branch(scope: Scope, unit: Unit) -> None:
    """One of several bodies, all computing into the same views."""
    (node,) = unit.nodes
    index, operands = node.inputs[0], node.inputs[1:]
    dead = [scope.may_overwrite(value) for value in operands]
    inputs = [scope.view(v) for v in operands]
    targets = _branch_targets(scope, node, unit, dead)
    buffers = [view.buffer for view in inputs]
    free = [
        buffers.count(view.buffer) == 1 and (dead[i] or view in targets)
        for i, view in enumerate(inputs)
    ]
    cases = []
    for body in node.bodies:
        owned = [value for value, mine in zip(body.inputs, free, strict=True) if mine]
        steps = lower_body(scope.plan, body, inputs, targets, parallel=scope.parallel, owned=owned)
        cases.append(steps)
    scope.steps.append(Branch(scope.view(index), tuple(cases)))


def _branch_targets(scope: Scope, node: Node, unit: Unit, dead: Sequence[bool]) -> list[View]:
    """Where results are wanted; where an operand lies that a case passes on; or afresh."""
    chosen: list[View] = []
    for number, output in enumerate(node.outputs):
        view = scope.free_destination(output, unit)
        if view is None or any(view.buffer is other.buffer for other in chosen):
            view = _passed_on(scope, node, number, dead, chosen) or scope.new(output.type)
        chosen.append(scope.put(output, view))
    return chosen


def _passed_on(
    scope: Scope, node: Node, number: int, dead: Sequence[bool], taken: Sequence[View]
) -> View | None:
    """The view of an operand that nobody needs afterwards and some case gives as this result."""
    buffers = {view.buffer for view in taken}
    for body in node.bodies:
        value = body.outputs[number]
        if value not in body.inputs:
            continue
        position = body.inputs.index(value)
        view = scope.view(node.inputs[1 + position])
        if dead[position] and view.buffer not in buffers:
            return view
    return None


KINDS = {"scan": lower_scan, "map": lower_scan, "loop": lower_loop, "branch": lower_branch}
