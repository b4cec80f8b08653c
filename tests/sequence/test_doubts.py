"""What may not have been meant is refused, or said in a sentence and used as it is said."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tilewright.doubts import expected
from tilewright.errors import ArgumentError, DataWarning
from tilewright.sequence import LSTMClassifier, LSTMFeatures, LSTMRegressor, Panel
from tilewright.sequence.doubts import marks_of

SETTINGS: dict[str, Any] = dict(hidden=4, epochs=1, steps_back=8, warm_up=4)


def frame(groups="abc", rows=40, seed=0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    data = pd.DataFrame(rng.normal(size=(len(groups) * rows, 3)), columns=["a", "b", "y"])
    data["time"], data["group"] = np.tile(np.arange(rows), len(groups)), np.repeat([*groups], rows)
    return data


DATA = frame()
RISES = (DATA.time > 35).astype(float)


def panel(data: Any = DATA, **settings: Any) -> Panel:
    return Panel(data, ["a", "b"], **{"targets": "y", **settings})


def one_row_each() -> Any:
    return DATA[DATA.time == 3]


def with_one_row_alone() -> pd.DataFrame:
    return pd.concat([DATA, DATA[:1].assign(group="z")])


@pytest.mark.parametrize(
    ("kind", "data", "settings", "sentence"),
    [
        (LSTMRegressor, one_row_each(), {}, "Each of the 3 groups has one row alone"),
        (LSTMRegressor, DATA[:1], dict(validation=0), "There is one row alone"),
        (LSTMRegressor, DATA, dict(steps_back=41), "steps_back=41 is more than .* choose 40 or"),
        (LSTMRegressor, DATA, dict(steps_back=41, carry=True), "choose 40 or less"),
        (LSTMRegressor, DATA, dict(validation=0.001), r"no later data to stop by.*\(120\) is less"),
        (LSTMRegressor, DATA, dict(horizon=9), "horizon of 9 times is longer .* which has 8"),
        (LSTMRegressor, DATA, dict(horizon=40), "Nothing is left to learn from"),
        (LSTMRegressor, DATA, dict(validation=0, refit="steps"), "refit='steps' needs a valid"),
        (LSTMRegressor, DATA.assign(y=np.nan), {}, "No target is known"),
        (LSTMRegressor, DATA.assign(a=1e300 * DATA.a), {}, "A column of inputs is too large"),
        (LSTMClassifier, DATA.assign(y=np.nan), {}, "No label is known"),
        (LSTMClassifier, DATA.assign(y=1.0), {}, "at least two classes, not one class alone"),
        (LSTMClassifier, DATA.assign(y=RISES), {}, r"has one class alone \(0\.0\)"),
        (
            LSTMClassifier,
            DATA.assign(y=np.maximum(RISES, DATA.time % 2).where(DATA.time < 32, 1.0)),
            dict(calibration="isotonic"),
            "needs both classes in the later part",
        ),
        (LSTMFeatures, one_row_each(), {}, "Each of the 3 groups has one row alone"),
    ],
)
def test_nothing_can_be_learned_so(kind, data, settings, sentence):
    with pytest.raises(ArgumentError, match=sentence) as error:
        kind(**{**SETTINGS, **settings}).fit(panel(data))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("kind", "data", "sentence"),
    [
        (LSTMRegressor, with_one_row_alone(), "1 of 4 groups has one row alone: they show no past"),
        (LSTMRegressor, DATA.assign(a=1.0), "Input 'a' is constant in what is learned from"),
        (LSTMFeatures, DATA.assign(a=1.0, b=2), "Inputs 'a' and 'b' are constant in what is"),
        (LSTMRegressor, DATA.assign(y=1.0), "A target is constant in what is learned from"),
        (LSTMRegressor, DATA.assign(a=2 - 3 * DATA.y), "Input 'a' is the target itself: is that"),
        (
            LSTMClassifier,
            DATA.assign(y=np.where(RISES > 0, 2, DATA.time % 2)),
            r"Class 2\.0 is not in what is learned from, only in the later part",
        ),
    ],
)
def test_what_is_learned_from_is_said_to_be_odd(kind, data, sentence):
    with pytest.warns(DataWarning, match=sentence) as said:
        kind(**SETTINGS).fit(panel(data))
    assert [one.filename for one in said] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with expected():
            kind(**SETTINGS).fit(panel(data))


def test_samples_have_numbers_for_names():
    X = np.random.default_rng(0).normal(size=(60, 5, 2))
    X[..., 1] = 3
    with pytest.warns(DataWarning, match="Input 1 is constant"):
        LSTMRegressor(**SETTINGS).fit(X, X[:, 0, 0])


def test_marks_of_gaps_may_be_constant():
    """An input that is never missing has a second column, of zeros, that nobody gave."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = LSTMRegressor(**SETTINGS).fit(panel(missing="indicator"))
    with pytest.raises(ArgumentError, match="fitted with missing='indicator', not 'refuse'"):
        fitted.predict(panel())


def test_groups_that_were_not_there(tmp_path):
    fitted = LSTMRegressor(**SETTINGS).fit(panel())
    fitted.save(tmp_path / "net")
    assert b"group_marks_" in (tmp_path / "net").read_bytes()
    more, back = panel(frame("abdefc")), LSTMRegressor.load(tmp_path / "net")
    for model in (fitted, back):
        with pytest.warns(DataWarning, match="3 of 6 groups were not among those .* in common"):
            found = model.predict(more)
        assert np.isfinite(found).all()
        model.predict(panel(DATA[DATA.group == "b"]))
    one = panel(frame("z", 1))
    with pytest.warns(DataWarning, match="1 of 1 groups was not among"):
        assert fitted.predict(one).shape == (1,)


def test_units_are_those_of_the_fit():
    data = DATA.assign(base=2.0)
    relative = LSTMRegressor(**SETTINGS).fit(panel(data, base_scale="base"))
    with pytest.raises(ArgumentError, match="in units of a base scale: name the base_scale"):
        relative.predict(panel())
    absolute = LSTMRegressor(**SETTINGS).fit(panel())
    with pytest.raises(ArgumentError, match="fitted without a base scale"):
        absolute.predict_distribution(panel(data, base_scale="base"))
    with pytest.raises(ArgumentError, match="for targets that are numbers, not for classes"):
        LSTMClassifier(**SETTINGS).fit(panel(data, base_scale="base"))


def test_a_column_that_is_always_missing_has_a_name():
    never = panel(DATA.assign(b=np.nan), missing="indicator")
    with pytest.raises(ArgumentError, match="Input 'b' is missing in all rows that are learned"):
        LSTMRegressor(**SETTINGS).fit(never)
    two = Panel(DATA.assign(z=np.nan), ["a"], ["y", "z"])
    with pytest.raises(ArgumentError, match="Target 1 is missing in all rows that are learned"):
        LSTMRegressor(**SETTINGS).fit(two)


def test_a_fit_to_samples_forgets_the_names_of_a_panel():
    X = np.random.default_rng(0).normal(size=(60, 2))
    again = LSTMRegressor(**SETTINGS).fit(panel()).fit(X, X.sum(axis=1))
    with pytest.raises(ArgumentError, match="fitted to samples, not a Panel"):
        again.predict(panel())


def test_marks_do_not_hold_names():
    marks = marks_of(["card 17", "card 4"])
    assert marks.dtype == np.uint64
    assert list(marks) == sorted(marks)
    np.testing.assert_array_equal(marks, marks_of(["card 4", "card 17"]))
    assert len(marks_of([])) == 0
