"""Takes the arrays of one subject, input and parameters, and collects their comparisons and mistakes."""

from collections import defaultdict

import numpy as np

from mlp.arrays import Array
from mlp.gradcheck.mistakes import Evidence, explain, explain_shape
from mlp.gradcheck.numeric import Differences, compare
from mlp.gradcheck.parameters import ArrayParameter
from mlp.gradcheck.result import Comparison
from mlp.gradcheck.rounding import EPS, HALF_EPS, SINGLE_EPS, Rounding, is_rounded_to_single, measure_rounding
from mlp.gradcheck.subject import Subject


class Checker:
    """Compares array after array at the point ``x``; ``comparisons`` and ``sentences()`` hold the outcome."""

    def __init__(
        self,
        subject: Subject,
        x: Array,
        upstream: Array,
        rng: np.random.Generator,
        rtol: float,
        max_entries: int,
        comparisons: list[Comparison],
        input_moves: bool = True,
    ) -> None:
        self.subject, self.x, self.upstream, self.rng = subject, x, upstream, rng
        self.rtol, self.max_entries = rtol, max_entries
        self.comparisons = comparisons  # the caller's: they outlive an exception
        self._explained: defaultdict[str, list[str]] = defaultdict(list)
        self._sentences: list[str] = []
        self._moving = x.copy()  # the input whose entries are moved one at a time
        probe = x.copy()
        self._is_half = np.asarray(subject.forward(probe)).dtype == np.float16
        self._forward_spoils_input = not np.array_equal(probe, x)
        self._weights = upstream.reshape(-1)
        self._rounding = self._measure_rounding(input_moves)

    def _measure_rounding(self, input_moves: bool) -> Rounding:
        arrays = {name: p.data for name, p in self.subject.parameters.items()}
        if input_moves:  # an input without a gradient may be indices, which must stay whole
            arrays = {"its input": self._moving} | arrays
        with np.errstate(all="ignore"):
            cast = [name for name, array in arrays.items() if is_rounded_to_single(self._evaluate, array)]
            if self._is_half or cast:
                self._sentences.append(
                    f"forward casts {', '.join(cast) or 'its output'} to"
                    f" {'float16' if self._is_half else 'float32'}"
                    ", and the check gave it float64: keep the dtype of the argument (the gradients could be"
                    " compared to a few digits only)"
                )
            eps = HALF_EPS if self._is_half else SINGLE_EPS if cast else EPS
            return measure_rounding(self._evaluate, self._weights, list(arrays.values()), eps)

    def _evaluate(self) -> Array:
        """The outputs, flat and copied: forward may return its own buffer or a view of the input."""
        x = self._moving.copy() if self._forward_spoils_input else self._moving
        return np.array(self.subject.forward(x), dtype=np.float64).reshape(-1)

    def check(self, name: str, array: Array, gradient: Array | None, is_input: bool = False) -> None:
        """Compare ``gradient`` with numeric derivatives with respect to ``array`` (the input: ``x``)."""
        problem = self._unusable(name, array, gradient, is_input)
        if gradient is None or problem:
            self._sentences.append(problem)
            self.comparisons.append(Comparison(name, array.shape, ok=False, total=array.size))
            return
        entries = np.arange(array.size)
        if array.size > self.max_entries:
            entries = np.sort(self.rng.choice(array.size, self.max_entries, replace=False))
        moved = self._moving if is_input else array
        d = compare(self._evaluate, self._weights, moved, gradient, entries, self.rtol, self._rounding)
        self.comparisons.append(_summary(name, array.shape, d, self.rtol, array.size))
        if d.failed.any():
            evidence = Evidence(
                name,
                is_input,
                gradient,
                d,
                self.x,
                upstream=None if self.subject.scalar else self.upstream,
                labels=None if self.subject.targets is None else self.subject.targets[1],
            )
            self._explained[explain(evidence)].append(name)

    def _unusable(self, name: str, array: Array, gradient: Array | None, is_input: bool) -> str:
        """Why a gradient cannot be compared at all; empty if it can."""
        if gradient is None:
            if is_input:
                return f"{name}: backward returned None instead of the gradient with respect to its input"
            bare = isinstance(self.subject.parameters[name], ArrayParameter)
            return f"{name}: {'no gradient of it was found' if bare else '.grad is None'} after backward"
        if gradient.shape != array.shape:
            return explain_shape(name, gradient.shape, array.shape, self.x.shape[:-1])
        bad = int(np.sum(~np.isfinite(gradient)))
        return (
            f"{name}: the gradient is not finite (NaN or infinity) in {bad} of {array.size} entries" if bad else ""
        )

    def sentences(self) -> list[str]:
        """The likely mistakes; arrays with the same one share a sentence."""
        return self._sentences + [f"{', '.join(names)}: {text}" for text, names in self._explained.items()]


def _summary(name: str, shape: tuple[int, ...], d: Differences, rtol: float, total: int) -> Comparison:
    """The worst entry of one array in numbers."""
    if d.entries.size == 0:
        return Comparison(name, shape, ok=True)
    error, size = np.abs(d.analytic - d.numeric), np.maximum(np.abs(d.analytic), np.abs(d.numeric))
    allowance = rtol * size + d.noise
    # 0 / 0 is a perfect match; NaN (the function is not defined beside x) is the worst there is.
    ratio = np.divide(error, allowance, out=np.where(error == 0, 0.0, np.inf), where=allowance > 0)
    candidates = np.flatnonzero(d.failed) if d.failed.any() else np.arange(d.entries.size)
    worst = int(candidates[np.argmax(np.nan_to_num(ratio[candidates], nan=np.inf))])
    return Comparison(
        name,
        shape,
        ok=not d.failed.any(),
        index=tuple(int(i) for i in np.unravel_index(d.entries[worst], shape)),
        analytic=float(d.analytic[worst]) + 0.0,  # no -0
        numeric=float(d.numeric[worst]) + 0.0,
        absolute_error=float(error[worst]),
        relative_error=float(error[worst] / size[worst]) if size[worst] else 0.0,
        noise=float(d.noise[worst]),
        kinks=int((d.kink & ~d.failed).sum()),
        failed=int(d.failed.sum()),
        checked=d.entries.size,
        total=total,
    )
