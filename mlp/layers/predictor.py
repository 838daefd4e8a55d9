"""A network in use: scores, classes, probabilities. Nothing of it changes, so threads may use it at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Self

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_integer, plain_array
from mlp.functional import class_probabilities, classify
from mlp.layers.base import Layer
from mlp.layers.containers import Hook, Sequential
from mlp.layers.summary import Text, find_non_finite, summarize, summarize_as_html

# What other libraries' models have: {there: what to write here}.
ELSEWHERE = {
    "fit": "mlp.Solver(network, loss, optimizer, epochs=10).fit((x, y))",
    "compile": "mlp.Solver(network, loss, optimizer)",
    "evaluate": "mlp.evaluate(network, loss, (x, y))",
    "score": "mlp.evaluate(network, loss, (x, y))",
    "add": "mlp.Network(*network.layers, layer)",
    "append": "mlp.Network(*network.layers, layer)",
    "to": "network.astype(np.float64) for another dtype; all is computed on the processor",
    "cuda": "nothing: all is computed on the processor",
    "weights": "network.parameters",
    "coefs_": "network.parameters",
    "get_weights": "network.state_dict()",
    "set_weights": "network.load_state_dict(state)",
    "save": "mlp.save(network, path)",
    "save_weights": "mlp.save(network, path)",
    "load": "mlp.load(path)",
    "load_weights": "mlp.load(network, path)",
    "named_parameters": "{p.name: p.data for p in network.parameters}",
    "modules": "network.layers",
    "requires_grad_": "network.freeze() or network.unfreeze()",
}
TASKS = ("classification", "regression", None)


class Predictor:
    """What ``Network`` is to those who only use it: the layers of ``body`` in evaluation mode."""

    body: Sequential
    dtype: np.dtype[Any]
    in_features: int | None
    out_features: int | None
    # How the values that it was trained on became its inputs, "x = stored / 255", if they were scaled.
    input_rule: str | None = None
    _task: str | None
    _classes: tuple[str, ...] | None

    def __getattr__(self, name: str) -> Any:
        hint = f"; write {ELSEWHERE[name]}" if name in ELSEWHERE else ""
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}{hint}", name=name, obj=self)

    @property
    def task(self) -> str | None:
        """What the scores are: those of classes ("classification"), numbers ("regression"), or not known (None)."""
        return self._task

    @task.setter
    def task(self, task: str | None) -> None:
        if task not in TASKS:
            raise InputError(f"Network: task must be 'classification', 'regression' or None, got {task!r}")
        self._task = task

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The names of the classes by number, which ``predict`` answers with; None if they are mere numbers."""
        return self._classes

    @classes.setter
    def classes(self, classes: Sequence[str] | None) -> None:
        # A tuple as it is: one that a data set made of names is of a kind of its own.
        self._classes = classes if classes is None or isinstance(classes, tuple) else tuple(map(str, classes))
        outputs = self.out_features if self.out_features != 1 else 2
        if self._classes is not None and outputs is not None and len(self._classes) > outputs:
            raise InputError(f"Network: {len(self._classes)} names of classes, but {self.out_features} outputs")

    def meaning_the_same_as(self, other: Predictor) -> Self:
        """Take over what another network's numbers mean; returns this network."""
        self.task, self.classes, self.input_rule = other.task, other.classes, other.input_rule
        return self

    def evaluation_step(self, x: Array) -> Array:
        """Scores of a batch in evaluation mode; nothing of the network changes, so threads may call it at once."""
        return self._for_use().forward(self._as_input(x))

    def scores(self, x: Array, batch_size: int = 1000) -> Array:
        """What ``forward`` gives in evaluation mode, in batches: memory stays small for any number of rows.

        Nothing of the network changes, so threads may call it at once.
        """
        x = self._as_input(x)
        batch_size = check_integer("batch_size", batch_size, 1)
        forward = self._for_use().forward
        if x.ndim <= 1 or len(x) <= batch_size:
            return forward(x)
        return np.concatenate([forward(x[i : i + batch_size]) for i in range(0, len(x), batch_size)])

    def _for_use(self) -> Sequential:
        """The same layers with the same weights in evaluation mode, remembering nothing in this network."""
        twin = self.body.tied().eval()
        own = dict(zip(twin.walk(), self.body.walk(), strict=True))
        for copy, original in own.items():
            if isinstance(copy, Sequential) and isinstance(original, Sequential):
                copy.forward_hooks = [partial(_tell, hook, own) for hook in original.forward_hooks]
        return twin

    def predict(self, x: Array) -> Array:
        """What the network was trained to say of x (..., in_features).

        For classes (``task`` "classification") the class of the largest score of each row, (...): of a single
        score 1 where it is above 0, else 0; by its name, if the classes have names. For numbers ("regression") the
        scores, (..., out_features). A network with several outputs that was not trained, and was not told its task,
        is taken to choose between classes.

        Raises ``InputError`` for a single output and no task, and where a score of a class is NaN.
        """
        if self.task is None and self.out_features == 1:
            raise InputError(
                "Network: one output may be a number or the score of a class; set network.task to 'regression' or "
                "'classification', or call network.scores"
            )
        scores = self.scores(x)
        if self.task == "regression":
            return scores
        return answer(scores, self.classes)

    def predict_proba(self, x: Array) -> Array:
        """softmax of the scores, (..., classes): probabilities if the network was trained with cross-entropy.

        Of a single score its sigmoid, (..., 1): the probability of class 1, after binary cross-entropy.
        """
        return class_probabilities(self.scores(x))

    def explain_non_finite(self, x: Array) -> str | None:
        """Where the first value that is not finite comes from when this batch goes forward, or None."""
        with np.errstate(over="ignore"):
            return find_non_finite(self.body.layers, self._as_input(x))

    def summary(self, batch_size: int | str = "N") -> Text:
        """A table of the layers with their output shapes and parameter counts; a shared parameter counts once."""
        return summarize(self.body, self.dtype, batch_size)

    def _repr_html_(self) -> str:
        return summarize_as_html(self.body, self.dtype)

    def check_scaled(self, dtype: np.dtype[Any]) -> None:
        """Raise ``InputError`` for whole numbers, such as the bytes of an image, where training saw scaled ones."""
        if self.input_rule is not None and dtype.kind in "iu":
            raise InputError(
                f"Network: it was trained on scaled inputs, {self.input_rule}, got {dtype} numbers; give the "
                "inputs of a Dataset with this rule, or scaled floats"
            )

    def _as_input(self, x: Any) -> Array:
        """x in the network's dtype: of a data set its inputs, of images (n, rows, columns) their pixels in rows;
        of one image (rows, columns) its pixels."""
        if type(x) is not np.ndarray:
            x = plain_array("Network: the input", getattr(x, "inputs", x))
        if x.dtype != self.dtype:
            if x.dtype.kind not in "fiub":
                raise InputError(f"Network: the input must be an array of real numbers, got {x.dtype}")
            self.check_scaled(x.dtype)
            x = x.astype(self.dtype)
        if x.ndim == 2 and self.in_features not in (None, x.shape[-1]) and x.size == self.in_features:
            x = x.reshape(-1)
        if x.ndim > 2 and self.in_features not in (None, x.shape[-1]) and x[:1].size == self.in_features:
            x = x.reshape(len(x), -1)
        return x


def answer(scores: Array, classes: tuple[str, ...] | None) -> Array:
    """The classes that scores (..., K) choose, by name if they have names. Raises ``InputError`` for NaN."""
    if np.isnan(scores).any():
        row = np.argwhere(np.isnan(scores))[0, :-1].tolist()
        raise InputError(
            f"predict: the scores of sample {row} are NaN, so that no class has the largest; "
            f"network.explain_non_finite(x) says where it comes from"
        )
    return classify(scores) if classes is None else np.array(classes)[classify(scores)]


def _tell(hook: Hook, originals: dict[Layer, Layer], layer: Layer, y: Array) -> None:
    """Call a hook with the layer that its owner knows, in place of the copy of it that computes."""
    hook(originals[layer], y)
