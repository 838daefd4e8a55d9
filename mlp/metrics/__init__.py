"""How good predictions are: functions (y_true, y_pred, ...) -> float, the truth first, as in scikit-learn.

The second name says what is taken: y_pred scores or predicted classes, y_score raw scores (logits), y_proba
probabilities.
"""

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
