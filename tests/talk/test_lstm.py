"""Turns of a few calls each, which begin when others' threads rest."""

from tilewright.talk import lstm


def test_every_turn_begins_at_rest(monkeypatch):
    seen = []
    monkeypatch.setattr(lstm, "at_rest", lambda: seen.append("rest"))
    calls = {name: lambda name=name: seen.append(name) for name in ("ours", "theirs")}
    found = lstm.points("batch 1", calls, 1, {"ours": 0.5}, (3, 4))
    turn = ["rest", *["ours"] * 4, "rest", *["theirs"] * 4]
    assert seen == ["ours", "theirs", *turn * 3]
    assert [(point.who, len(point.figure.rounds)) for point in found] == [
        ("ours", 12),
        ("theirs", 12),
    ]
    assert [point.more["error"] for point in found] == [0.5, None]
