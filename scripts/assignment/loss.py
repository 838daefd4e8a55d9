"""Losses: one number that says how wrong the scores are, and its derivative with respect to the scores.

``forward(scores, targets)`` returns the loss, the mean over the N rows. ``backward()`` returns dL/dscores, of the
shape of the scores. Targets are one-hot: each row of (N, C) has a 1 at the right class, and 0 elsewhere.
"""

import numpy as np


class MSELoss:
    """L = 1/N Σ (scores - targets)², summed over all entries and divided by the number of rows N."""

    def forward(self, scores, targets):
        # Task: keep the differences, and return L.
        ### BEGIN SOLUTION
        self.difference = scores - targets
        return np.sum(self.difference**2) / len(scores)
        ### END SOLUTION

    def backward(self):
        # Task: return dL/dscores, the derivative of exactly what forward computes.
        ### BEGIN SOLUTION
        return 2.0 * self.difference / len(self.difference)
        ### END SOLUTION


class CrossEntropyLoss:
    """L = -1/N Σ targets · log p, with p = softmax(scores), row by row.

    p_j = exp(s_j) / Σ_k exp(s_k). Subtracting the largest score of a row changes no p and avoids overflow:
    log p_j = s_j - max(s) - log Σ_k exp(s_k - max(s)).
    """

    def forward(self, scores, targets):
        # Task: compute log p as above, keep what backward needs, and return L.
        ### BEGIN SOLUTION
        shifted = scores - scores.max(axis=1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        self.p, self.targets = np.exp(log_p), targets.copy()
        return -np.sum(targets * log_p) / len(scores)
        ### END SOLUTION

    def backward(self):
        # Task: return dL/dscores. Derive it on paper first: almost everything cancels.
        ### BEGIN SOLUTION
        return (self.p - self.targets) / len(self.p)
        ### END SOLUTION
