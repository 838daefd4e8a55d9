"""Several networks that vote: their errors differ, and the mean of their probabilities errs less than each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mlp.arrays import Array
from mlp.checks import InputError, check_integer
from mlp.data import Dataset
from mlp.functional import softmax
from mlp.network import Network


class Ensemble:
    """M networks with the same classes; the ensemble's probabilities are the mean of theirs:

        p(k | x) = 1/M Σ_m softmax(network_m(x))_k

    The mean is taken over probabilities, not scores: an ensemble's negative log-likelihood is then never above the
    mean of its members' (Jensen's inequality).

    Raises ``InputError`` for no networks, or networks of different widths.

    Breiman, "Bagging predictors", Machine Learning 24 (1996).
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        self.networks = tuple(networks)
        if not self.networks or not all(isinstance(network, Network) for network in self.networks):
            raise InputError(f"Ensemble: a list of one network or more is needed, got {networks!r}")
        widths = {(network.in_features, network.out_features) for network in self.networks}
        if len(widths) > 1:
            raise InputError(f"Ensemble: the networks must have the same inputs and outputs, got {sorted(widths)}")

    def predict_proba(self, x: Array) -> Array:
        """The mean of the networks' probabilities, (..., classes), in the first network's dtype."""
        total: Array = softmax(self.networks[0].scores(x))
        for network in self.networks[1:]:
            total += softmax(network.scores(x))
        total /= len(self.networks)
        return total

    def predict(self, x: Array) -> NDArray[np.intp]:
        """The class of the largest mean probability for each row: (..., in_features) -> (...)."""
        return self.predict_proba(x).argmax(axis=-1)

    def log_proba(self, x: Array) -> Array:
        """log p(k | x), which serves as scores: its softmax is p. A p that underflows counts as the least p > 0."""
        p = self.predict_proba(x)
        return np.log(np.maximum(p, np.finfo(p.dtype).tiny))

    def __len__(self) -> int:
        return len(self.networks)

    def __iter__(self) -> Iterator[Network]:
        return iter(self.networks)

    def __repr__(self) -> str:
        return f"Ensemble({len(self)} networks)"


def bag(
    train: Callable[[Dataset, np.random.Generator], Network],
    data: Dataset,
    members: int,
    rng: int | np.random.Generator,
) -> Ensemble:
    """Bootstrap aggregating: ``members`` networks, each trained on a bootstrap sample of its own.

    ``train(sample, rng)`` makes and trains one network; ``sample`` is as many samples as ``data`` has, drawn with
    replacement, so each of them misses about 1/e = 37 % of the data. Every member gets its own generator.

    Raises ``InputError`` for members < 1.
    """
    check_integer("bag: members", members, 1)
    generators = np.random.default_rng(rng).spawn(members)
    return Ensemble(
        [train(data[generator.integers(0, len(data), len(data))], generator) for generator in generators]
    )
