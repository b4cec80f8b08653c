"""Recurrent nets: those that others trained, answered here; and estimators that train their own."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tilewright.sequence.drift import Drift as Drift
from tilewright.sequence.files import save as save
from tilewright.sequence.load import load as load
from tilewright.sequence.model import Model as Model
from tilewright.sequence.rates import Rates as Rates
from tilewright.sequence.slide import Slide as Slide
from tilewright.sequence.snapshot import Snapshot as Snapshot
from tilewright.sequence.stream import Stream as Stream

if TYPE_CHECKING:
    from tilewright.sequence.classifier import LSTMClassifier as LSTMClassifier
    from tilewright.sequence.features import LSTMFeatures as LSTMFeatures
    from tilewright.sequence.panel import Panel as Panel
    from tilewright.sequence.regressor import LSTMRegressor as LSTMRegressor

LATER = {
    "LSTMClassifier": "classifier",
    "LSTMFeatures": "features",
    "LSTMRegressor": "regressor",
    "Panel": "panel",
}
"""What needs scikit-learn, optax and narwhals, which those who only answer need not have."""


def __getattr__(name: str) -> Any:
    if name not in LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{LATER[name]}"), name)
