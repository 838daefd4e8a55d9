"""How good predictions are: functions (y_true, y_pred, ...) -> float, the truth first, as in scikit-learn.

The second name says what is taken: y_pred scores or predicted classes, y_score raw scores (logits), y_proba
probabilities.
"""

import importlib
from typing import Any

from mlp.functional import count_correct
from mlp.metrics.classification import (
    accuracy,
    balanced_accuracy,
    cohen_kappa,
    matthews_corrcoef,
    top_k_accuracy,
)
from mlp.metrics.confusion import classification_report, confusion_matrix, f1, precision, recall
from mlp.metrics.probabilistic import brier_score, log_loss, negative_log_likelihood
from mlp.metrics.ranking import (
    PrecisionRecallCurve,
    RocCurve,
    auc,
    average_precision,
    precision_recall_curve,
    roc_auc,
    roc_curve,
)
from mlp.metrics.regression import mean_absolute_error, mean_squared_error, r2_score
from mlp.metrics.report import ClassificationReport
from mlp.registry import nearest

__all__ = [
    "ClassificationReport",
    "PrecisionRecallCurve",
    "RocCurve",
    "accuracy",
    "auc",
    "average_precision",
    "balanced_accuracy",
    "brier_score",
    "classification_report",
    "cohen_kappa",
    "confusion_matrix",
    "count_correct",
    "f1",
    "log_loss",
    "matthews_corrcoef",
    "mean_absolute_error",
    "mean_squared_error",
    "negative_log_likelihood",
    "precision",
    "precision_recall_curve",
    "r2_score",
    "recall",
    "roc_auc",
    "roc_curve",
    "top_k_accuracy",
]

# What scikit-learn calls those that give the same numbers.
ELSEWHERE = {
    "accuracy_score": "accuracy",
    "average_precision_score": "average_precision",
    "balanced_accuracy_score": "balanced_accuracy",
    "cohen_kappa_score": "cohen_kappa",
    "roc_auc_score": "roc_auc",
    "top_k_accuracy_score": "top_k_accuracy",
}


def __getattr__(name: str) -> Any:
    if name == "calibration":  # a room of its own, of use to few
        return importlib.import_module("mlp.metrics.calibration")
    if name in ELSEWHERE:
        return globals()[ELSEWHERE[name]]
    base = name.removesuffix("_score")  # of another default, perhaps: not an alias
    near = base if base in __all__ else nearest(name, __all__)
    hint = f"; did you mean {near}?" if near and not name.startswith("_") else ""
    raise AttributeError(f"module 'mlp.metrics' has no attribute {name!r}{hint}")
