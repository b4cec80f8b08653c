"""What the page says, and what it leaves unsaid."""

import re
from dataclasses import replace

from tests.talk.records import images, talk
from tilewright.talk.claims import CLAIMS
from tilewright.talk.figures import Point, measured
from tilewright.talk.page import page
from tilewright.talk.record import Outcome
from tilewright.talk.verdicts import sentences, switched


def test_a_slow_peer_and_a_fast_one():
    assert sentences(images(1.0, 2.0).points) == [
        "batch 1: 2.00 × (2.00–2.00) as fast as the best peer, PyTorch."
    ]
    assert sentences(images(2.0, 1.0).points) == [
        "batch 1: slower, 0.50 × (0.50–0.50), than PyTorch."
    ]
    assert "neither faster nor slower" in sentences(images(1.0, 1.0).points)[0]


def test_the_best_peer_counts_and_the_slow_one_does_not():
    slow = Point("batch 1", "Slow", measured("images: batch 1", [9.0] * 3, "images/s", 1))
    assert sentences([*images(1.0, 2.0).points, slow]) == sentences(images(1.0, 2.0).points)


def test_low_precision_is_held_against_low_precision_that_errs_no_less():
    def point(who, seconds, error):
        return Point("batch 1", who, measured("lstm", [seconds] * 3, "ms"), {"error": error})

    points = [
        point("tilewright, float32", 4.0, 1e-7),
        point("tilewright, int8", 2.0, 0.01),
        point("tilewright, int8x8", 1.0, 0.05),
        point("ONNX Runtime", 6.0, 1e-7),
        point("ONNX Runtime int8", 3.0, 0.03),
    ]
    found = sentences(points)
    assert "1.50 ×" in found[0]  # float32 against float32
    assert "1.50 ×" in found[1]  # 2 against 3: the faster one errs more
    assert "int8, with no larger error" in found[1]


def test_half_precision_and_a_gpu_are_held_against_their_like():
    def point(who, seconds):
        return Point("batch 1", who, measured("images", [seconds] * 3, "ms"))

    points = [point("tilewright", 4.0), point("PyTorch", 8.0), point("OpenVINO bfloat16", 2.0)]
    found = sentences([*points, point("JAX on a card", 1.0)])
    assert found == [
        "batch 1: 2.00 × (2.00–2.00) as fast as the best peer, PyTorch.",
        "batch 1, bfloat16 (ours in float32): slower, 0.50 × (0.50–0.50), than OpenVINO bfloat16.",
        "batch 1, on a GPU: slower, 0.25 × (0.25–0.25), than JAX on a card.",
    ]
    mine = point("tilewright, bfloat16", 1.0)
    second = sentences([*points, mine])[1]
    assert "2.00 ×" in second
    assert "ours in" not in second


def test_without_peers_nothing_is_claimed():
    alone = replace(images(), points=images().points[:1])
    assert sentences(alone.points) == []
    text = page([talk(one=alone)])
    assert "ONNX Runtime is not here: pip install onnxruntime onnx" in text


def test_claims_are_quotes_and_no_ratio_holds_one():
    text = page([talk(one=images())])
    for claim in CLAIMS["images"]:
        assert claim.words.replace(">", "&gt;") in text
    assert 'class="claimed' not in text
    assert "published" in text
    table = re.search(r"<td class=left>V100, fp32</td>.*?</tr>", text)
    assert table is not None
    assert "×" not in table[0]


def test_the_page_needs_no_network_and_is_small():
    text = page([talk(one=images())])
    assert not re.search(r"(src|href)\s*=|url\(|<script", text)
    assert len(text) < 3e6


def test_disturbed_and_failed_steps_are_said():
    failed = Outcome("images", conditions={"seconds": 1.0}, failed="it took too long")
    again = images(others=0.5, repeated=1)
    text = page([talk(one=images(others=0.9), two=failed, three=again)])
    assert "Others used the processors meanwhile, once: images: one." in text
    assert "Others used the processors meanwhile, twice: images: three." in text
    assert "images: two was not measured: it took too long." in text


def test_a_host_that_was_held_back_is_said():
    quick, slow = images(MHz=3000.0), images(MHz=1500.0)
    text = page([talk(one=quick, two=slow)])
    assert "held back in these steps: images: two." in text
    assert "held back" not in page([talk(one=quick, two=quick)])
    assert "held back" not in page([talk(one=images())])


def test_what_is_switched_off():
    points = [
        Point("low precision", who, measured("argument: low precision", [s] * 3, "ms"))
        for who, s in (("with", 1.0), ("without", 3.0))
    ]
    assert switched(points) == ["low precision: 3.00 × (3.00–3.00) as fast with it as without."]


def test_a_switch_of_which_rounds_disagree_is_worth_nothing_that_can_be_told():
    run = "argument: a static graph"
    points = [
        Point("a static graph", who, measured(run, rounds, "ms"))
        for who, rounds in (("with", [1.0, 4.0, 4.0]), ("without", [3.0, 2.0, 1.0]))
    ]
    assert switched(points) == [
        "a static graph: neither faster nor slower with it than without, 0.50 × (0.38–1.75)."
    ]
