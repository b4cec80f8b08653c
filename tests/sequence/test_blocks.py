"""Nets with pruned weights: windows, streams and libraries for C skip zero blocks, same bits."""

import subprocess

import jax
import numpy as np
import pytest

import tilewright
from tests.c_export.test_export import build, needs_cc
from tests.graph.test_blocks import pruned, skips
from tests.sequence.streams import INPUTS, NETS, model, ticks, windowed
from tilewright.models import recurrent
from tilewright.sequence import Model
from tilewright.sequence.precision import in_precision

SKIPPING = ("float32", "bfloat16", "int8", "int8x8")
"""Precisions whose products skip; pairs of bfloat16 are multiplied whole."""
STEP = """
#include <stdio.h>
#include "net.h"
int main(void) {
    float x[%d], y[1];
    net_stream *one = net_start(net_open());
    while (fread(x, sizeof x, 1, stdin) == 1) {
        net_answer(one, x, y);
        fwrite(y, sizeof y, 1, stdout);
    }
    return 0;
}
"""


def thinned(tall: int = 4) -> Model:
    """With two blocks of three gone from all matrices of the cells."""
    net = model("packed")
    cells = jax.tree.map(
        lambda a: pruned(a, tall, 0.3, len(a)) if a.ndim == 2 else a, net.weights.layers
    )
    return Model(net.net, net.weights._replace(layers=cells))


@pytest.mark.parametrize("precision", SKIPPING)
def test_streams_and_windows_agree_to_the_bit(precision):
    net, xs = thinned(), ticks(9, 2)
    stream = net.stream(2, precision=precision)
    assert skips(stream.program) >= 3
    for x in xs:
        answer = stream.answer(x)
    window = net.window(2, 9, precision=precision)
    assert skips(window) >= 3
    np.testing.assert_array_equal(answer, window(np.swapaxes(xs, 0, 1).copy()))


@pytest.mark.parametrize("precision", SKIPPING)
def test_every_precision_has_the_bits_of_the_whole_products(precision):
    """Windows and streams that skip alike could be wrong alike."""
    net, xs = thinned(), ticks(9, 2)
    inputs = np.swapaxes(xs, 0, 1).copy()
    weights = in_precision(net.weights, precision)
    whole = tilewright.compile(lambda w, x: recurrent.window(net.net, w, x), weights, inputs)
    assert skips(whole) == 0
    found = net.window(2, 9, precision=precision)(inputs)
    np.testing.assert_array_equal(found, whole(weights, inputs))


def test_the_same_bits_as_with_zeros():
    net, xs = thinned(), ticks(6, 3)
    inputs = np.swapaxes(xs, 0, 1).copy()
    whole = tilewright.compile(
        lambda w, x: recurrent.window(NETS["packed"], w, x), net.weights, inputs
    )
    assert skips(whole) == 0
    np.testing.assert_array_equal(windowed(net, xs), whole(net.weights, inputs))
    slide = net.slide(4)
    assert skips(slide.program) >= 3
    for x in xs[:, :1]:
        answer = slide.answer(x)
    np.testing.assert_array_equal(answer, windowed(net, xs[-4:, :1]))


@needs_cc
def test_a_library_for_c(tmp_path):
    net, xs = thinned(), ticks(7)
    net.stream().program.export(tmp_path, "net")
    model("packed").stream().program.export(tmp_path / "whole", "net")
    sizes = [(tmp_path / name / "net.o").stat().st_size for name in ("", "whole")]
    assert sizes[0] < 0.6 * sizes[1]
    program = build(tmp_path, STEP % INPUTS, "libnet.a")
    done = subprocess.run([program], input=xs.tobytes(), capture_output=True, check=True)
    stream = net.stream()
    assert done.stdout == b"".join(np.ravel(stream(x[None])).tobytes() for x in xs)
