"""What can be wrong with a run, as its curves show it: each disease is one function and its thresholds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlp.checks import InputError
from mlp.diagnosis.findings import Diagnosis, Finding, find
from mlp.solver.history import History

Curve = NDArray[np.float64]

# A shorter curve has no shape.
MIN_EPOCHS = 5
# In parts of the first loss: how far the last one is above the lowest, and how large the largest is. Noise on the
# way down is less, and no run should come to twice what it began with.
DIVERGED, PEAK = 0.5, 2.0
# Karpathy, CS231n, "Ratio of weights:updates": |Δw| / |w| should be about 1e-3. Here, a hundred times more or less.
LARGE_UPDATE, SMALL_UPDATE = 1e-1, 1e-5
# A rate that is too small makes a nearly straight curve (CS231n, "Loss function"): its last third falls at least
# half as fast as the first, and more than half of the loss is left.
STRAIGHT, LEFT = 0.5, 0.5
# After the first epoch the loss rises in a third of them, by half of what it falls in the others, and moves by 5 %.
RISES, GIVEN_BACK, SWING = 1 / 3, 0.5, 0.05
# What counts as no change: 2 % of the first loss; 5 points of accuracy, as one who guesses may change the guess.
FLAT, FLAT_ACCURACY = 0.02, 0.05
# Who guesses among K classes has accuracy 1 / K, at most a half, and the cross-entropy log K = -log(accuracy).
BEST_CHANCE, CHANCE_LOSS = 0.55, 0.15
# On a plateau the lowest loss gets better by less than 1 % in the last third of the epochs, and in 5 at least. That
# matters if more than half of the first loss is left and the accuracy is not good.
PROGRESS, HIGH, GOOD_ACCURACY = 0.01, 0.5, 0.95
# Prechelt, "Early stopping - but when?", 1998, stops where the generalisation loss E / E_lowest - 1 exceeds 1 to
# 5 %. Twice that, in each of the last three epochs, is not noise.
GENERALISATION_LOSS, LAST = 0.1, 3
# Between the accuracies on training samples and on others; between the losses, where there are no accuracies.
ACCURACY_GAP, LOSS_GAP = 0.1, 2.0


class Curves(NamedTuple):
    """What a history has of the training set, of a set that is only watched, and of the size of steps."""

    loss: Curve
    accuracy: Curve | None
    watched: str  # "validation", "test", or "" for none
    watched_loss: Curve
    watched_accuracy: Curve | None
    update: Curve  # the largest |Δw| / |w| of any layer, where GradientFlow has measured it


def diagnose_history(history: History, error: ArithmeticError | None = None) -> Diagnosis:
    """What the curves of a run show: see ``mlp.diagnosis.diagnose``."""
    if error is not None:
        return Diagnosis("history", [find("loss not finite", str(error))])
    if len(history) == 0:
        raise InputError("diagnose: no epoch has finished, so there is nothing to look at")
    broken = _not_finite(history)
    if broken is not None:
        return Diagnosis("history", [broken])
    if "train_loss" not in history.columns:
        raise InputError(f"diagnose: a history needs the column 'train_loss', got {', '.join(history.columns)}")
    trained = History([row for row in history if "train_loss" in row])
    if len(trained) < MIN_EPOCHS:
        return Diagnosis("history", [], f"Too short to tell: epochs {len(trained)}, needed {MIN_EPOCHS}.")
    curves = _read(trained)
    found = (look(curves) for look in LOOKS)
    return Diagnosis("history", [finding for finding in found if finding is not None])


def _read(history: History) -> Curves:
    def column(name: str) -> Curve | None:
        return history[name] if name in history.columns else None

    watched = next((name for name in ("validation", "test") if f"{name}_loss" in history.columns), "")
    ratios = [history[name] for name in history.columns if name.endswith("_update_ratio")]
    update = np.fmax.reduce(ratios) if ratios else np.empty(0)  # a layer without a ratio is left out
    return Curves(
        loss=history["train_loss"],
        accuracy=column("train_accuracy"),
        watched=watched,
        watched_loss=history[f"{watched}_loss"] if watched else np.empty(0),
        watched_accuracy=column(f"{watched}_accuracy"),
        update=update[np.isfinite(update)],
    )


def _not_finite(history: History) -> Finding | None:
    for i, row in enumerate(history, start=1):
        for name, value in row.items():
            if name.endswith("loss") and not math.isfinite(value):
                return find("loss not finite", f"{name} is {value} in epoch {row.get('epoch', i)}")
    return None


def _divergence(c: Curves) -> Finding | None:
    first, lowest, largest = abs(c.loss[0]), c.loss.min(), c.loss.max()
    if c.loss[-1] - lowest <= DIVERGED * first and largest <= PEAK * first:
        return None
    when = int(c.loss.argmin()), int(c.loss.argmax())
    seen = f"the train loss is {lowest:.3g} in epoch {when[0] + 1}, {largest:.3g} in epoch {when[1] + 1}"
    return find("divergence", f"{seen}, and ends at {c.loss[-1]:.3g}")


def _rate_too_large(c: Curves) -> Finding | None:
    if c.update.size == 0 or (typical := float(np.median(c.update))) <= LARGE_UPDATE:
        return None
    return find("learning rate too large", f"a step changes the weights of a layer by {typical:.2g} of their size")


def _rate_too_small(c: Curves) -> Finding | None:
    name = "learning rate too small"
    if c.update.size and c.update[0] < SMALL_UPDATE:
        return find(name, f"in the first epoch a step changes no layer by more than {c.update[0]:.2g} of its size")
    falls = -np.diff(c.loss)
    third = len(falls) // 3
    straight = falls.min() > 0 and falls[-third:].mean() >= STRAIGHT * falls[:third].mean()
    if not straight or c.loss[-1] <= LEFT * c.loss[0]:
        return None
    return find(name, f"the train loss falls in each epoch, but only from {c.loss[0]:.4g} to {c.loss[-1]:.4g}")


def _oscillation(c: Curves) -> Finding | None:
    loss = c.loss[1:]  # the first epoch may have begun anywhere
    change = np.diff(loss)
    rises, falls = change[change > 0], -change[change < 0]
    often = len(rises) >= RISES * len(change) and rises.sum() > GIVEN_BACK * falls.sum()
    if not often or abs(change).mean() <= SWING * abs(loss).mean():
        return None
    seen = f"the train loss rises in {len(rises)} of {len(change)} epochs, by up to {rises.max():.3g}"
    return find("oscillation", seen)


def _stuck_at_chance(c: Curves) -> Finding | None:
    if c.accuracy is None:
        return None
    last = max(LAST, len(c.loss) // 3)
    loss, accuracy = c.loss[-last:], c.accuracy[-last:]
    flat = np.ptp(accuracy) < FLAT_ACCURACY and np.ptp(loss) < FLAT * abs(c.loss[0])
    low = 0 < accuracy[-1] <= BEST_CHANCE
    if not flat or not low:
        return None
    if not _is_flat(c.loss) and abs(loss[-1] + math.log(accuracy[-1])) >= CHANCE_LOSS:
        return None
    seen = f"for {last} epochs the train accuracy has been {accuracy[-1]:.3f} and the loss {loss[-1]:.4g}"
    return find("accuracy stuck at chance", seen)


def _is_flat(loss: Curve) -> bool:
    return bool(loss[0] - loss.min() < FLAT * abs(loss[0]))


def _no_learning(c: Curves) -> Finding | None:
    if not _is_flat(c.loss):
        return None
    seen = f"the train loss is {c.loss[0]:.4g} in the first epoch and {c.loss.min():.4g} at best"
    return find("no learning", seen)


def _plateau(c: Curves) -> Finding | None:
    last = max(MIN_EPOCHS, len(c.loss) // 3)
    if len(c.loss) <= last or (c.accuracy is not None and c.accuracy[-1] >= GOOD_ACCURACY):
        return None
    before, now = c.loss[:-last].min(), c.loss[-last:].min()
    if before - now >= PROGRESS * abs(before) or now <= HIGH * c.loss[0]:
        return None
    seen = f"the lowest train loss of the last {last} epochs is {now:.4g}, before it was {before:.4g}"
    return find("plateau", seen)


def _over_fitting(c: Curves) -> Finding | None:
    seen = [text for text in (_rise(c), _gap(c)) if text]
    return find("over-fitting", "; ".join(seen)) if seen else None


def _rise(c: Curves) -> str:
    """The watched loss rises while the training loss falls."""
    measured = np.isfinite(c.watched_loss)
    watched, train = c.watched_loss[measured], c.loss[: len(measured)][measured]
    if len(watched) <= LAST:
        return ""
    best = int(watched.argmin())
    risen = watched[-LAST:].min() > (1 + GENERALISATION_LOSS) * watched[best] > 0
    if not risen or train[-1] >= train[best]:
        return ""
    return (
        f"the {c.watched} loss was {watched[best]:.4g} and is {watched[-1]:.4g} at the end, "
        f"while the train loss fell from {train[best]:.4g} to {train[-1]:.4g}"
    )


def _gap(c: Curves) -> str:
    """The training set does much better than the watched one."""
    if not c.watched:
        return ""
    if c.accuracy is not None and c.watched_accuracy is not None:
        train, other = _end(c.accuracy), _end(c.watched_accuracy)
        what, wide = "accuracy", train - other > ACCURACY_GAP
    else:
        train, other = _end(c.loss), _end(c.watched_loss)
        what, wide = "loss", other > LOSS_GAP * train > 0
    return f"the {what} is {train:.3g} on training data and {other:.3g} on {c.watched} data" if wide else ""


def _end(curve: Curve) -> float:
    """The mean of the last measured values."""
    return float(curve[np.isfinite(curve)][-LAST:].mean())


# Causes before consequences.
LOOKS: tuple[Callable[[Curves], Finding | None], ...] = (
    _divergence,
    _rate_too_large,
    _rate_too_small,
    _oscillation,
    _stuck_at_chance,
    _no_learning,
    _plateau,
    _over_fitting,
)
