"""Several networks that vote: their errors differ, and the mean of their probabilities errs less than each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_integer, check_rng
from mlp.data.dataset import Dataset
from mlp.layers.predictor import answer
from mlp.network import Network


class Ensemble:
    """M networks with the same classes; the ensemble's probabilities are the mean of theirs:

        p(k | x) = 1/M Σ_m softmax(network_m(x))_k

    The mean is taken over probabilities, not scores: an ensemble's negative log-likelihood is then never above the
    mean of its members' (Jensen's inequality). Of networks with one output it is the mean of their sigmoids, the
    probability of class 1. Networks of a regression answer with the mean of their outputs.

    Raises ``InputError`` for no networks, or networks of different widths, tasks or classes.

    Breiman, "Bagging predictors", Machine Learning 24 (1996).
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        self.networks = tuple(networks)
        if not self.networks or not all(isinstance(network, Network) for network in self.networks):
            raise InputError(f"Ensemble: a list of one network or more is needed, got {networks!r}")
        for what, values in (
            ("inputs and outputs", {(network.in_features, network.out_features) for network in self.networks}),
            ("task", {network.task for network in self.networks}),
            ("classes", {network.classes for network in self.networks}),
        ):
            if len(values) > 1:
                raise InputError(f"Ensemble: the networks must have the same {what}, got {sorted(values, key=str)}")
        self.task, self.classes = self.networks[0].task, self.networks[0].classes

    def predict_proba(self, x: Array) -> Array:
        """The mean of the networks' probabilities, (..., classes), in the first network's dtype."""
        return self._mean(lambda network: network.predict_proba(x))

    def predict(self, x: Array) -> Array:
        """The class of the largest mean probability for each row, by name if they have names: (..., in_features) ->
        (...); of one output, class 1 where its mean probability is above 1/2. For a regression the mean output."""
        if self.task == "regression":
            return self._mean(lambda network: network.scores(x))
        return answer(self.log_proba(x), self.classes)

    def log_proba(self, x: Array) -> Array:
        """log p(k | x), which serves as scores: its softmax is p. Of one output log p - log(1 - p), whose sigmoid
        is p.

        A p that underflows counts as the least p > 0.
        """
        p = self.predict_proba(x)
        tiny = np.finfo(p.dtype).tiny
        log_p = np.log(np.maximum(p, tiny))
        return log_p - np.log(np.maximum(1 - p, tiny)) if p.shape[-1] == 1 else log_p

    def _mean(self, answer: Callable[[Network], Array]) -> Array:
        total = answer(self.networks[0]).copy()
        for network in self.networks[1:]:
            total += answer(network)
        total /= len(self.networks)
        return total

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
    generators = check_rng(rng).spawn(members)
    return Ensemble([train(data.bootstrap(generator), generator) for generator in generators])
