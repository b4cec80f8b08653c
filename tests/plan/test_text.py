"""A program's text: buffers with their places, then steps, one a line, bodies indented."""

import numpy as np

from tilewright.plan import views
from tilewright.plan.basic import copy_codelet, fill_codelet, is_transposition
from tilewright.plan.ir import (
    Branch,
    Buffer,
    Call,
    Loop,
    Map,
    Program,
    Spread,
    Sync,
    View,
    While,
)
from tilewright.plan.text import program_to_text

SOURCE = Buffer("float32", 24, "input", 0)
SHARED = Buffer("float32", 24, "shared")
TILE = Buffer("int32", 1, "tile")
INDEX = View(TILE, (), ())


def copy(source, target):
    return Call(copy_codelet([source], [target]), (source, target))


def test_every_kind_of_step():
    row = views.row(views.whole(SOURCE, (6, 4)), 7)
    target = views.transpose(views.whole(SHARED, (4, 6)), (1, 0))
    zero = Call(fill_codelet(np.zeros((), np.float32), row), (row,))
    moved = copy(row, views.window(target, (2, 0), (1, 4)))
    program = Program(
        (SOURCE, SHARED, TILE), (SOURCE,), (),
        (
            Loop(7, 6, (zero, Sync())),
            Spread(8, 2, (moved,)),
            Spread(9, 1, (moved,), True),
            Map(10, 3, ()),
            While((zero,), INDEX, (Sync(),)),
            Branch(INDEX, ((), (Sync(),))),
        ),
        {SHARED: 0, TILE: 64}, 128, 68,
    )  # fmt: skip
    assert program_to_text(program).splitlines() == [
        "program: 128 bytes shared, 68 bytes a tile",
        "  %input0 = input float32 24",
        "  %1 = shared float32 24 at 0",
        "  %2 = tile int32 1 at 64",
        "steps:",
        "  loop v0 < 6:",
        "    copy_float32_4 () -> %input0[0 + v0*4] (4)",
        "    sync",
        "  spread v1 < 2:",
        "    copy_float32_4 (%input0[0 + v0*4] (4)) -> %1[2] (1,4) by (1,6)",
        "  spread v2 < 1 with it:",
        "    copy_float32_4 (%input0[0 + v0*4] (4)) -> %1[2] (1,4) by (1,6)",
        "  map v3 < 3:",
        "  while:",
        "    copy_float32_4 () -> %input0[0 + v0*4] (4)",
        "  do if %2 ():",
        "    sync",
        "  case %2 () == 0:",
        "  case %2 () == 1:",
        "    sync",
    ]


def test_plain_vertices_mean_what_they_say():
    x, y = np.arange(6, dtype=np.float32).reshape(2, 3), -np.ones((2, 3), np.float32)
    views_ = [views.whole(Buffer("float32", 6, "shared"), (2, 3)) for _ in range(4)]
    copies = copy_codelet(views_[:2], views_[2:]).meaning(x, y)
    np.testing.assert_array_equal(copies, [x, y])
    (filled,) = fill_codelet(np.full((), np.nan, np.float32), views_[0]).meaning()
    assert np.isnan(filled).all()
    assert filled.shape == (2, 3)


def test_transpositions_are_worth_blocks_from_eight_on():
    for rows, columns, expected in ((8, 8, True), (7, 40, False), (40, 7, False), (9, 300, True)):
        buffer = Buffer("float32", rows * columns, "shared")
        dense = views.whole(buffer, (rows, columns))
        turned = views.transpose(views.whole(buffer, (columns, rows)), (1, 0))
        assert is_transposition(turned, dense) == expected
        assert not is_transposition(dense, dense)
