"""Streams take each sum's terms in order, each once, and all that reads a pixel with it."""

from hypothesis import given
from hypothesis import strategies as st

from tilewright.codelets.convolution.streams import in_streams
from tilewright.codelets.convolution.terms import Dimension, Terms


def terms_of(taps, dilation, channels, pitch):
    taps_across = Dimension(taps, dilation * pitch, channels)
    terms = Terms.of([taps_across], channels, 1, 1)
    return [terms.term(0, i) for i in range(terms.count)]


@given(
    st.integers(1, 20), st.integers(1, 5), st.integers(1, 2), st.integers(1, 2), st.integers(1, 4)
)
def test_each_sum_takes_its_terms_in_order(rows, taps, stride, dilation, channels):
    terms = terms_of(taps, dilation, channels, 16)
    turns = [turn for pixel in in_streams(rows, stride * 16, terms) for turn in pixel]
    for row in range(rows):
        assert [i for r, i in turns if r == row] == list(range(len(terms)))


def test_neighbours_that_read_a_pixel_take_it_together():
    terms = terms_of(3, 1, 2, 16)
    for pixel in in_streams(12, 16, terms):
        read = {(row * 16 + terms[i].image) for row, i in pixel}
        assert len(read) == len({place // 64 for place in read}) <= 3


def test_terms_that_go_back_and_forth_are_taken_one_by_one():
    terms = terms_of(3, -1, 1, 16)
    turns = [turn for pixel in in_streams(4, 16, terms) for turn in pixel]
    assert turns == [(row, i) for i in range(3) for row in range(4)]
