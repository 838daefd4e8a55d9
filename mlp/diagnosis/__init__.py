"""Looking for what is wrong with a network, or with a run: what it usually means, and what usually helps."""

from __future__ import annotations

from mlp.arrays import Array
from mlp.checks import InputError
from mlp.diagnosis.findings import Diagnosis, Finding
from mlp.diagnosis.histories import diagnose_history
from mlp.diagnosis.networks import diagnose_network
from mlp.diagnosis.observation import layer_statistics
from mlp.diagnosis.rate_finder import LearningRateFinder, find_learning_rate
from mlp.diagnosis.sanity import SanityCheck, sanity_check
from mlp.diagnosis.statistics import LayerRow, LayerStatistics, ParameterRow
from mlp.losses import Loss
from mlp.network import Network
from mlp.solver.history import History

__all__ = [
    "Diagnosis",
    "Finding",
    "LayerRow",
    "LayerStatistics",
    "LearningRateFinder",
    "ParameterRow",
    "SanityCheck",
    "diagnose",
    "diagnose_history",
    "diagnose_network",
    "find_learning_rate",
    "layer_statistics",
    "sanity_check",
]


def diagnose(
    subject: Network | History,
    loss: Loss | None = None,
    x: Array | None = None,
    targets: Array | None = None,
    *,
    error: ArithmeticError | None = None,
) -> Diagnosis:
    """Look at a network with a batch, or at the history of a run, for what commonly goes wrong.

        print(diagnose(network, loss, *train[:200].arrays(np.float32)))
        print(diagnose(solver.fit(train, test)))

    A network, untrained or trained, goes forward and backward once, with a batch x (..., in_features) of 20 samples
    or more, as in ``layer_statistics``, which leaves it as it was. Looked for are

        values that are not finite, badly scaled inputs, symmetric units, dead ReLUs, saturated units,
        vanishing and exploding activations, collapsed outputs, vanishing and exploding gradients,
        and a loss far above that of equal scores for all classes

    and in a history of at least 5 epochs

        a loss that is not finite, divergence, a learning rate too large or too small, oscillation,
        accuracy stuck at chance, no learning, a plateau, over-fitting

    Of the sets that are only watched it takes the validation set, or else the test set. Columns of ``GradientFlow``
    help it to judge the learning rate. A run that ended with ``NotFinite`` has no epoch that shows it: give the
    exception as ``error``.

    Findings are rules of thumb, each with its numbers. The thresholds and their sources stand at the top of
    ``mlp/diagnosis/networks.py`` and ``histories.py``. What usually follows from another finding is only named
    with it.

    Raises ``InputError`` for another subject, for a batch that is missing, empty or does not fit, and for a history
    without epochs or without the column train_loss.

    Glorot & Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010; He,
    Zhang, Ren & Sun, "Delving deep into rectifiers", ICCV 2015; Lu, Shin, Su & Karniadakis, "Dying ReLU and
    initialization", 2019, arXiv:1903.06733; Prechelt, "Early stopping - but when?", 1998; Karpathy, "CS231n: Neural
    networks 2 and 3", and "A recipe for training neural networks", 2019.
    """
    if isinstance(subject, History):
        if loss is not None or x is not None or targets is not None:
            raise InputError("diagnose: a history is looked at alone, without loss, x and targets")
        return diagnose_history(subject, error)
    if not isinstance(subject, Network):
        raise InputError(f"diagnose: the subject must be a Network or a History, got {type(subject).__name__}")
    if loss is None or x is None or targets is None or error is not None:
        raise InputError("diagnose: a network needs loss, x and targets, and takes no error")
    return diagnose_network(subject, loss, x, targets)
