r"""Penalties that keep the weights small, seen as prior beliefs about them; and max-norm, a constraint.

By Bayes' rule the negative log-posterior of the weights, divided by the number N of *training samples* (of the
whole set, not of a batch), is, up to a constant,

    -1/N log p(w | data) = 1/N Σᵢ -log p(yᵢ | xᵢ, w)  +  -1/N log p(w)
                         = mean loss                  +  R(w)

so to minimise the mean loss plus R(w) is to find the most probable weights (MAP) for the prior p(w) ∝ e^(-N R(w)):

    L2(λ)    R = ½ λ Σ w²    Gaussian of mean 0 and variance σ² = 1 / (λ N)
    L1(λ)    R = λ Σ |w|     Laplace of mean 0 and scale b = 1 / (λ N), variance 2 b²

With a loss that is summed over all N samples instead, σ² = 1/λ and b = 1/λ. The loss has to be a negative
log-likelihood itself, as cross-entropy is, and ``MSELoss`` for Gaussian noise of variance 1.

    loss, scores = network.training_step(x, y, loss_function)
    regularizer.add_gradient(network.parameters)
    optimizer.step()
    max_norm.apply(network.parameters)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from mlp.arrays import Array, aligned_empty
from mlp.checks import InputError, check_integer, check_number, check_positive
from mlp.parameter import Parameter


class Scratch:
    """Memory for one intermediate result at a time, kept from one training step to the next."""

    def __init__(self) -> None:
        self._memory: Array = np.empty(0)

    def like(self, array: Array) -> Array:
        """An uninitialised array of this shape and dtype."""
        if self._memory.size < array.size or self._memory.dtype != array.dtype:
            self._memory = aligned_empty((array.size,), array.dtype)
        return self._memory[: array.size].reshape(array.shape)


def penalised(parameters: Iterable[Parameter], biases: bool) -> Iterator[Parameter]:
    """The parameters of two axes or more, or with biases all of them."""
    for p in parameters:
        if not isinstance(p, Parameter):
            raise InputError(f"parameters must be those of a network (network.parameters), got {p!r} among them")
        if biases or p.data.ndim >= 2:
            yield p


class Regularizer:
    """R(w) of a network's weights: ``penalty`` is its value, ``add_gradient`` adds dR/dw to the gradients.

    Only parameters of two axes or more are penalised, the weights proper, unless ``biases=True``: a bias
    only shifts its neuron, and how far is a matter of where the data lie.

    A subclass writes ``value`` and ``derivative`` for the array of one parameter.
    """

    def __init__(self, biases: bool = False) -> None:
        self.biases = biases
        self.scratch = Scratch()

    def penalty(self, parameters: Iterable[Parameter]) -> float:
        """R(w), to be added to the mean loss."""
        return sum((self.value(p.data) for p in penalised(parameters, self.biases)), 0.0)

    def add_gradient(self, parameters: Iterable[Parameter]) -> None:
        """grad += dR/dw for every penalised parameter: after the backward pass, before the optimizer's step."""
        for p in penalised(parameters, self.biases):
            p.grad += self.derivative(p.data)

    def value(self, w: Array) -> float:
        """R of one parameter."""
        raise NotImplementedError(f"{type(self).__name__} needs a value method")

    def derivative(self, w: Array) -> Array:
        """dR/dw of one parameter, in its shape: memory that is only lent."""
        raise NotImplementedError(f"{type(self).__name__} needs a derivative method")

    def _repr(self, *settings: str) -> str:
        return f"{type(self).__name__}({', '.join((*settings, *(['biases=True'] if self.biases else [])))})"


class L2(Regularizer):
    """R = ½ λ Σ w², dR/dw = λ w, for a ``strength`` λ: a Gaussian prior of variance 1 / (λ N) on each weight.

    With plain SGD it is the optimizer's ``weight_decay`` (on the biases too, for ``biases=True``); an adaptive
    optimizer rescales it like any gradient. Raises ``InputError`` for λ < 0.

    Krogh & Hertz, "A simple weight decay can improve generalization", NIPS 1991;
    MacKay, "A practical Bayesian framework for backpropagation networks", 1992.
    """

    def __init__(self, strength: float, biases: bool = False) -> None:
        super().__init__(biases)
        self.strength = check_number("L2: strength", strength, 0)

    def value(self, w: Array) -> float:
        """½ λ Σ w²."""
        return 0.5 * self.strength * float(np.vdot(w, w))

    def derivative(self, w: Array) -> Array:
        """λ w."""
        return np.multiply(w, self.strength, out=self.scratch.like(w))

    def __repr__(self) -> str:
        return self._repr(f"{self.strength:g}")


class L1(Regularizer):
    """R = λ Σ |w|, dR/dw = λ sign(w), 0 at w = 0: a Laplace prior of scale 1 / (λ N), variance 2 / (λ N)².

    It pulls with the same force however small a weight is. Gradient steps make weights small but not exactly 0:
    they jump over it by up to η λ. Raises ``InputError`` for λ < 0.

    Tibshirani, "Regression shrinkage and selection via the lasso", 1996.
    """

    def __init__(self, strength: float, biases: bool = False) -> None:
        super().__init__(biases)
        self.strength = check_number("L1: strength", strength, 0)

    def value(self, w: Array) -> float:
        """λ Σ |w|."""
        return self.strength * float(np.abs(w, out=self.scratch.like(w)).sum())

    def derivative(self, w: Array) -> Array:
        """λ sign(w)."""
        sign = np.sign(w, out=self.scratch.like(w))
        sign *= self.strength
        return sign

    def __repr__(self) -> str:
        return self._repr(f"{self.strength:g}")


class ElasticNet(Regularizer):
    """R = λ₁ Σ |w| + ½ λ₂ Σ w²: the product of the priors of ``L1(l1)`` and ``L2(l2)``, up to its constant.

    Raises ``InputError`` for λ₁ < 0 or λ₂ < 0.

    Zou & Hastie, "Regularization and variable selection via the elastic net", 2005.
    """

    def __init__(self, l1: float, l2: float, biases: bool = False) -> None:
        super().__init__(biases)
        self.l1 = check_number("ElasticNet: l1", l1, 0)
        self.l2 = check_number("ElasticNet: l2", l2, 0)
        self._parts = L1(l1, biases), L2(l2, biases)

    def penalty(self, parameters: Iterable[Parameter]) -> float:
        """R(w), to be added to the mean loss."""
        return sum(part.penalty(parameters) for part in self._parts)

    def add_gradient(self, parameters: Iterable[Parameter]) -> None:
        """grad += dR/dw for every penalised parameter: after the backward pass, before the optimizer's step."""
        for part in self._parts:
            part.add_gradient(parameters)

    def __repr__(self) -> str:
        return self._repr(f"l1={self.l1:g}", f"l2={self.l2:g}")


class MaxNorm:
    """A constraint: the weights that lead into a neuron, as a vector w, are no longer than ``limit``:

        w ← w · min(1, limit / |w|)

    which is the nearest vector that fulfils it. In a weight of shape (in_features, out_features) the vector of
    a neuron is a column, which ``axis=0`` says; biases are left alone. ``limit`` is often 3 or 4.

    Raises ``InputError`` for limit <= 0 or an axis that is not an integer of at least 0.

    Srebro & Shraibman, "Rank, trace-norm and max-norm", COLT 2005;
    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 2014.
    """

    def __init__(self, limit: float, axis: int = 0) -> None:
        self.limit = check_positive("MaxNorm: limit", limit)
        self.axis = check_integer("MaxNorm: axis", axis, 0)
        self.scratch = Scratch()

    def apply(self, parameters: Iterable[Parameter]) -> None:
        """Shorten what is too long: after the optimizer's step.

        Raises ``InputError`` if a parameter of two axes or more does not have this axis.
        """
        for p in penalised(parameters, biases=False):
            if p.frozen:
                continue
            w = p.data
            if self.axis >= w.ndim:
                raise InputError(f"MaxNorm: parameter {p.name!r} of shape {p.shape} has no axis {self.axis}")
            squares = np.multiply(w, w, out=self.scratch.like(w))
            norm = np.sqrt(np.add.reduce(squares, self.axis, keepdims=True))
            w *= self.limit / np.maximum(norm, self.limit)

    def __repr__(self) -> str:
        return f"MaxNorm({self.limit:g}{f', axis={self.axis}' if self.axis else ''})"
