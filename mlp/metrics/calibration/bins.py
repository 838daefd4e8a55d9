"""Is a confidence of 80 % right 80 % of the time? Samples in bins by confidence, and the errors of calibration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlp.arrays import Array
from mlp.checks import InputError, check_integer
from mlp.functional import check_labels
from mlp.metrics.inputs import Floats, as_binary, check_probabilities, real_array, true_classes

BINS = ("width", "mass")


@dataclass(frozen=True, eq=False, repr=False)
class ReliabilityBins:
    """M bins of confidence. What a reliability diagram shows, and what ECE, MCE and ACE sum up.

    - edges (M + 1,): bin m holds the confidences c with edges[m] < c <= edges[m + 1], the first bin 0 as well.
    - counts (M,): the number of samples n_m in each bin; they sum to N.
    - confidence (M,): the mean confidence in each bin (not its centre), nan where the bin is empty.
    - accuracy (M,): the share of samples that were right, nan where the bin is empty.
    """

    edges: Floats
    counts: NDArray[np.intp]
    confidence: Floats
    accuracy: Floats

    @property
    def gaps(self) -> Floats:
        """|accuracy - confidence| of each bin, nan where the bin is empty."""
        return np.abs(self.accuracy - self.confidence)

    @property
    def expected_error(self) -> float:
        """ECE = sum_m n_m / N |acc_m - conf_m|."""
        return float(np.nansum(self.counts * self.gaps) / self.counts.sum())

    @property
    def maximum_error(self) -> float:
        """MCE = max_m |acc_m - conf_m| over the bins that are not empty."""
        return float(np.nanmax(self.gaps))

    @property
    def average_error(self) -> float:
        """ACE = 1/M' sum_m |acc_m - conf_m| over the M' bins that are not empty."""
        return float(np.nanmean(self.gaps))

    def _rows(self) -> list[list[str]]:
        bins = zip(
            self.edges[:-1], self.edges[1:], self.counts, self.confidence, self.accuracy, self.gaps, strict=True
        )
        rows = [
            [f"{low:.3f} to {high:.3f}", f"{n}", *(f"{v:.4f}" if n else "" for v in values)]
            for low, high, n, *values in bins
        ]
        sums = {"ECE": self.expected_error, "MCE": self.maximum_error, "ACE": self.average_error}
        head = ["bin", "samples", "confidence", "accuracy", "gap"]
        return [head, *rows, *([name, "", "", "", f"{error:.4f}"] for name, error in sums.items())]

    def __str__(self) -> str:
        return "\n".join("".join(f"{cell:>16}" for cell in row) for row in self._rows())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from mlp.display.html import table

        head, *rows = self._rows()
        return table(head, rows, foot=3)


def reliability_bins(
    y_true: ArrayLike, y_proba: ArrayLike, num_bins: int = 15, bins: str = "width"
) -> ReliabilityBins:
    """The samples in bins by confidence. Takes probabilities, not scores.

    Labels (...) and probabilities (..., K): the confidence is the largest probability, and a sample is right if
    that is the one of its label. Labels may be distributions (..., K); their largest entry counts.
    Labels (N,), 0 and 1, and probabilities (N,) or (N, 1) of the positive class: the confidence is the probability
    itself, and "accuracy" the share of positives.

    bins="width": M bins of equal width, ((m-1)/M, m/M].
    bins="mass": M bins of equal numbers of samples, as far as possible: their sizes differ by one at most, but
        equal confidences share a bin, so that the order of the samples does not matter; some bins may be empty.

    Raises ``InputError`` for no samples and rows that do not sum to 1.
    A. Niculescu-Mizil & R. Caruana, "Predicting good probabilities with supervised learning", ICML 2005.
    """
    y, p = real_array("calibration", "y_true", y_true), real_array("calibration", "y_proba", y_proba)
    pair = as_binary("calibration", y, p)
    if pair is not None:
        confidence, is_right = pair[1], check_labels(pair[0], 2) == 1
    else:
        y, p = check_probabilities("calibration", y, p)
        confidence, is_right = p.max(axis=1), p.argmax(axis=1) == true_classes(y)
    return _fill_bins(confidence, is_right, num_bins, bins)


def expected_calibration_error(
    y_true: ArrayLike, y_proba: ArrayLike, num_bins: int = 15, bins: str = "width"
) -> float:
    """ECE = sum_m n_m / N |acc_m - conf_m|, from 0 to 1. Takes probabilities; arguments of ``reliability_bins``.

    It depends on the bins, and is biased upwards where they hold few samples: compare only like with like.
    C. Guo, G. Pleiss, Y. Sun & K. Q. Weinberger, "On calibration of modern neural networks", ICML 2017.
    """
    return reliability_bins(y_true, y_proba, num_bins, bins).expected_error


def maximum_calibration_error(
    y_true: ArrayLike, y_proba: ArrayLike, num_bins: int = 15, bins: str = "width"
) -> float:
    """MCE = max_m |acc_m - conf_m| over the bins that are not empty, however few samples they hold.

    Takes probabilities; arguments of ``reliability_bins``. Guo et al. 2017.
    """
    return reliability_bins(y_true, y_proba, num_bins, bins).maximum_error


def average_calibration_error(
    y_true: ArrayLike, y_proba: ArrayLike, num_bins: int = 15, bins: str = "width"
) -> float:
    """ACE = 1/M' sum_m |acc_m - conf_m| over the M' bins that are not empty: every bin counts the same.

    Takes probabilities; arguments of ``reliability_bins``. ``adaptive_calibration_error`` is abbreviated ACE, too.
    L. Neumann, A. Zisserman & A. Vedaldi, "Relaxed softmax", 2018.
    """
    return reliability_bins(y_true, y_proba, num_bins, bins).average_error


def adaptive_calibration_error(y_true: ArrayLike, y_proba: ArrayLike, num_ranges: int = 15) -> float:
    """1/(K R) sum_k sum_r |acc_kr - conf_kr|: all probabilities count, not only the largest of each row.

    For each of the K classes the samples are sorted by p_k and split into R ranges of equal numbers of samples;
    conf_kr is the mean p_k in a range, and acc_kr the share of samples there whose label is k. Equal p_k share a
    range; where that leaves ranges of a class empty, its sum is divided by the number of the others.

    Takes labels (...) and probabilities (..., K).
    J. Nixon, M. Dusenberry, L. Zhang, G. Jerfel & D. Tran, "Measuring calibration in deep learning", 2019.
    """
    classes = _class_bins("adaptive_calibration_error", y_true, y_proba, num_ranges, "mass")
    return float(np.mean([k.average_error for k in classes]))


def static_calibration_error(
    y_true: ArrayLike, y_proba: ArrayLike, num_bins: int = 15, bins: str = "width"
) -> float:
    """SCE = 1/K sum_k sum_m n_km / N |acc_km - conf_km|: the mean over classes of the ECE of p_k as a probability.

    Takes labels (...) and probabilities (..., K). Nixon et al. 2019.
    """
    classes = _class_bins("static_calibration_error", y_true, y_proba, num_bins, bins)
    return float(np.mean([k.expected_error for k in classes]))


def _class_bins(
    where: str, y_true: ArrayLike, y_proba: ArrayLike, num_bins: int, bins: str
) -> list[ReliabilityBins]:
    """For each class k, p_k in bins against whether k is the label."""
    y, p = check_probabilities(where, y_true, y_proba)
    true = true_classes(y)
    return [_fill_bins(p[:, k], true == k, num_bins, bins) for k in range(p.shape[1])]


def _fill_bins(confidence: Array, is_right: NDArray[np.bool_], num_bins: int, bins: str) -> ReliabilityBins:
    M, N = check_integer("calibration: num_bins", num_bins, 1), len(confidence)
    confidence = confidence.astype(np.result_type(confidence, np.float16), copy=False)
    if bins == "width":
        # A float32 confidence of 0.3 belongs below the edge 3/10, so the edges are rounded as it is.
        inner = (np.arange(1, M) / M).astype(confidence.dtype)
    elif bins == "mass":
        # The smallest confidence that at least m/M of the samples do not exceed.
        inner = np.sort(confidence)[-(-N * np.arange(1, M) // M) - 1]
    else:
        raise InputError(f"calibration: bins must be one of {', '.join(BINS)}, got {bins!r}")
    index = np.searchsorted(inner, confidence, side="left")
    counts = np.bincount(index, minlength=M)
    total = np.where(counts > 0, counts, np.nan)
    return ReliabilityBins(
        edges=np.concatenate([[0.0], inner, [1.0]]),
        counts=counts,
        confidence=np.bincount(index, weights=confidence, minlength=M) / total,
        accuracy=np.bincount(index, weights=is_right, minlength=M) / total,
    )
