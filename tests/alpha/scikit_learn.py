"""What scikit-learn's checks of estimators ask that chains of a sampler cannot give."""

from __future__ import annotations

SAME_TO_ROUNDING = dict.fromkeys(
    (
        "check_sample_weight_equivalence_on_dense_data",
        "check_sample_weight_equivalence_on_sparse_data",
    ),
    "rows and their weights give one posterior, but sums in another order, and chains part",
)
