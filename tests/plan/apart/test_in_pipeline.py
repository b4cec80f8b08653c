"""A pipeline of parts: each on the tiles of its chip, what is shared brought once, rows in turn."""

from itertools import pairwise

import pytest

from tests.plan.apart.test_pipeline import chips, stages
from tilewright.plan.ir import Branch, Exchange, Family, Loop, Pipeline, While

TILES = 4


def families(steps):
    for step in steps:
        match step:
            case Family():
                yield step
            case Loop(_, _, body):
                yield from families(body)
            case While(condition, _, body):
                yield from families((*condition, *body))
            case Branch(_, cases):
                for case in cases:
                    yield from families(case)


def planned(name, parts):
    program, *_ = stages(name, parts, chips(4, TILES))
    (line,) = (step for step in program.steps if isinstance(step, Pipeline))
    return program, line


@pytest.mark.parametrize(("name", "parts"), [("layers", 2), ("layers", 4), ("scans", 2)])
def test_a_part_is_on_the_tiles_of_its_chip(name, parts):
    program, line = planned(name, parts)
    assert len(line.parts) == parts
    for number, steps in enumerate(line.parts):
        own = range(number * TILES, (number + 1) * TILES)
        found = list(families(steps))
        assert found
        for family in found:
            assert set(family.homes.tiles()) <= set(own)
            for call in family.steps:
                for view in getattr(call, "views", ()):
                    if view.buffer.homes is not None:
                        assert set(view.buffer.homes.tiles()) <= set(own)
    assert program.tiles == 4 * TILES


@pytest.mark.parametrize(("name", "parts"), [("layers", 3), ("scans", 2)])
def test_what_is_passed_on_goes_from_a_chip_to_the_next(name, parts):
    _, line = planned(name, parts)
    assert len(line.passed) == parts - 1
    for number, moves in enumerate(line.passed):
        assert moves
        for move in moves:
            for view, chip in ((move.source, number), (move.target, number + 1)):
                assert view.buffer.homes is not None
                tiles = view.buffer.homes.tiles()
                assert {tile // TILES for tile in tiles} == {chip}


def test_what_all_instances_share_is_brought_once_and_rows_turn_by_turn():
    """Weights and a bias before the pipeline; of rows, an instance has its own."""
    program, line = planned("layers", 3)
    before = program.steps[: program.steps.index(line)]
    brought = {m.source.buffer for step in before if isinstance(step, Exchange) for m in step.moves}
    shared, rows = set(program.inputs[-5:]), program.inputs[-6]
    assert brought == shared
    inside = [m for steps in line.parts for s in steps if isinstance(s, Exchange) for m in s.moves]
    own = [move for move in inside if move.source.buffer is rows]
    assert own
    assert all((line.var, rows.size // 6) in move.source.moves for move in own)
    results = [move for move in inside if move.target.buffer.space == "output"]
    assert results
    for move in results:
        (by,) = (by for var, by in move.target.moves if var == line.var)
        assert by * 6 == move.target.buffer.size


def test_homes_of_parts_do_not_overlap():
    _, line = planned("layers", 4)
    tiles = [{t for f in families(steps) for t in f.homes.tiles()} for steps in line.parts]
    assert all(max(one) < min(other) for one, other in pairwise(tiles))
