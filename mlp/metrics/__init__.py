"""How good predictions are: functions (scores, labels, ...) -> float.

Each docstring says what it takes: raw scores (logits), probabilities, or predicted classes.
"""

from mlp.metrics.classification import (
    accuracy,
    balanced_accuracy,
    classification_report,
    confusion_matrix,
    count_correct,
    f1,
    precision,
    recall,
    top_k_accuracy,
)
from mlp.metrics.probabilistic import brier_score, negative_log_likelihood
from mlp.metrics.ranking import RocCurve, auc, roc_auc, roc_curve
from mlp.metrics.report import ClassificationReport

__all__ = [
    "ClassificationReport",
    "RocCurve",
    "accuracy",
    "auc",
    "balanced_accuracy",
    "brier_score",
    "classification_report",
    "confusion_matrix",
    "count_correct",
    "f1",
    "negative_log_likelihood",
    "precision",
    "recall",
    "roc_auc",
    "roc_curve",
    "top_k_accuracy",
]
