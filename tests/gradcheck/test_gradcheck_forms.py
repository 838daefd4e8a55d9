"""Layers as students keep them: arrays in pairs, replaced gradients, losses given their arguments twice."""

import copy
import sys

import numpy as np
import pytest

from mlp.gradcheck import check_layer, check_loss, check_network
from mlp.layers import Layer, Linear
from mlp.losses import CrossEntropyLoss

X = np.random.default_rng(3).normal(size=(5, 4))
WEIGHT, BIAS = np.random.default_rng(0).normal(size=(4, 3)), np.arange(3.0)


def pair(weight, bias, weight_gradient, bias_gradient, wrong=1.0, add=False):
    """A linear layer whose arrays have these names; its weight gradient is ``wrong`` times the right one."""

    class Pair:
        def __init__(self):
            setattr(self, weight, WEIGHT.copy())
            setattr(self, bias, BIAS.copy())
            if add:
                setattr(self, weight_gradient, np.zeros((4, 3)))
                setattr(self, bias_gradient, np.zeros(3))

        def forward(self, x):
            self.x = x
            return x @ getattr(self, weight) + getattr(self, bias)

        def backward(self, grad_y):
            gradients = {weight_gradient: wrong * self.x.T @ grad_y, bias_gradient: grad_y.sum(axis=0)}
            for name, gradient in gradients.items():
                setattr(self, name, getattr(self, name) + gradient if add else gradient)
            return grad_y @ getattr(self, weight).T

    return Pair()


NAMES = [
    ("W", "b", "grad_W", "grad_b"),
    ("W", "b", "dW", "db"),
    ("W", "b", "dLdW", "dLdb"),
    ("weight", "bias", "grad_weight", "grad_bias"),
    ("weights", "biases", "dweights", "dbiases"),
    ("weight", "bias", "dW", "db"),
    ("W", "b", "W_grad", "b_grad"),
    ("w", "b", "grad_weights", "grad_bias"),
]


@pytest.mark.parametrize("names", NAMES, ids=lambda names: names[2])
def test_arrays_in_pairs_are_checked_and_replacing_is_a_convention(names):
    result = check_layer(pair(*names), X)
    result.assert_ok()
    assert [(c.name, c.shape) for c in result.comparisons[1:]] == [(names[0], (4, 3)), (names[1], (3,))]
    assert result.conventions == (
        f"{names[0]}, {names[1]}: a second backward replaces the gradient instead of adding to it",
    )
    assert "convention: " in str(result)
    wrong = check_layer(pair(*names, wrong=0.5), X)
    assert not wrong
    assert f"{names[0]}: is half the right gradient" in wrong.mistakes[0]


def test_pairs_that_add_are_cleared_between_calls_and_left_as_they_were():
    layer = pair("W", "b", "dW", "db", add=True)
    layer.dW += 7
    before = copy.deepcopy(vars(layer))
    result = check_layer(layer, X)
    result.assert_ok()
    assert result.conventions == ()
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(layer, name), value)


def test_one_array_that_adds_beside_one_that_is_replaced_is_a_mistake():
    class Mixed(type(pair("W", "b", "dW", "db"))):
        db = 0.0

        def backward(self, grad_y):
            before = self.db
            gradient = super().backward(grad_y)
            self.db = before + self.db
            return gradient

    assert "replaces the gradient of W and adds to that of b" in check_layer(Mixed(), X).mistakes[0]


class InDicts:
    grads_name = "grads"

    def __init__(self):
        self.params = {"W": WEIGHT.astype(np.float32), "b": BIAS.astype(np.float32)}
        setattr(self, self.grads_name, {})

    def forward(self, x):
        self.cache = x
        return x @ self.params["W"] + self.params["b"]

    def backward(self, grad_y):
        setattr(self, self.grads_name, {"W": self.cache.T @ grad_y, "b": grad_y.sum(axis=0)})
        return grad_y @ self.params["W"].T


def test_dicts_of_parameters_and_gradients():
    for name in ("grads", "gradients", "_grads"):
        result = check_layer(type("D", (InDicts,), {"grads_name": name})(), X)
        result.assert_ok()
        assert [c.name for c in result.comparisons] == ["x", "params.W", "params.b"]

    class Prefixed(InDicts):
        def backward(self, grad_y):
            self.grads = {"dW": 2 * self.cache.T @ grad_y, "db": grad_y.sum(axis=0)}
            return grad_y @ self.params["W"].T

    assert "params.W: is twice the right gradient" in check_layer(Prefixed(), X).mistakes[0]


def test_methods_that_list_bare_arrays():
    class Lists(InDicts):
        def parameters(self):
            return self.params

        def gradients(self):
            return self.grads

    result = check_layer(Lists(), X)
    result.assert_ok()
    assert [c.name for c in result.comparisons] == ["x", "W", "b"]

    class Forgets(Lists):
        def backward(self, grad_y):
            gradient = super().backward(grad_y)
            del self.grads["b"]
            return gradient

    assert check_layer(Forgets(), X).mistakes == ("b: no gradient of it was found after backward",)


class Stack:
    """A network without ``parameters``, of layers in a list."""

    def __init__(self, *layers):
        self.layer_list = list(layers)

    def forward(self, x):
        for layer in self.layer_list:
            x = layer.forward(x)
        return x

    def backward(self, grad_y):
        for layer in reversed(self.layer_list):
            grad_y = layer.backward(grad_y)
        return grad_y


def test_layers_inside_a_network_are_seen():
    result = check_network(Stack(pair(*NAMES[0]), Linear(3, 2, rng=np.random.default_rng(0), dtype=np.float64)), X)
    assert [c.name for c in result.comparisons] == [
        "x",
        "layer_list.0.W",
        "layer_list.0.b",
        "layer_list.1.weight",
        "layer_list.1.bias",
    ]
    assert all(c.ok for c in result.comparisons)
    assert not check_network(Stack(pair(*NAMES[0], wrong=2)), X)
    check_network(Stack(pair(*NAMES[0])), X, np.array([0, 1, 2, 1, 0]), CrossEntropyLoss()).assert_ok()


class Unseen:
    """Its gradient has a name that says nothing."""

    def __init__(self, start=0.0):
        self.weight = np.full((4, 3), start)

    def forward(self, x):
        self.x = x
        return x @ self.weight

    def backward(self, grad_y):
        self.result = self.x.T @ grad_y * 3
        return grad_y @ self.weight.T


@pytest.mark.parametrize("start", [0.0, 1.0])
def test_an_array_that_nothing_checks_is_never_a_pass(start):
    result = check_layer(Unseen(start), X)
    assert not result
    assert "weight: forward uses this array, but it has no gradient to compare" in result.mistakes[0]
    check_layer(Unseen(start), X, constants=["weight"]).assert_ok()


def test_a_bare_array_in_a_layer_of_the_library_is_no_pass_either():
    class Scaled(Layer):
        def __init__(self):
            super().__init__()
            self.weight = np.full(4, 2.0)

        def forward(self, x):
            return x * self.weight

        def backward(self, grad_y):
            return grad_y * self.weight

    assert "weight: forward uses this array" in check_layer(Scaled(), X).mistakes[0]
    assert "layer_list.0.weight: forward uses" in check_network(Stack(Scaled()), X).mistakes[0]


def test_arrays_that_forward_does_not_use_and_caches_are_no_parameters():
    class Busy(type(pair("W", "b", "dW", "db"))):
        def __init__(self):
            super().__init__()
            self.velocity_W = np.zeros((4, 3))
            self.running_mean = np.zeros(4)
            self.x, self.dx = X.copy(), np.zeros_like(X)  # left over from an earlier call

        def forward(self, x):
            self.running_mean = 0.9 * self.running_mean + 0.1 * x.mean(axis=0)
            return super().forward(x)

        def backward(self, grad_y):
            self.dx = super().backward(grad_y)
            return self.dx

    result = check_layer(Busy(), X)
    result.assert_ok()
    assert [c.name for c in result.comparisons] == ["x", "W", "b"]


def test_a_parameter_that_forward_forgot_is_found():
    class Forgot(type(pair("W", "b", "dW", "db"))):
        def forward(self, x):
            self.x = x
            return x @ self.W

    result = check_layer(Forgot(), X)
    assert [c.ok for c in result.comparisons] == [True, True, False]


# ---- losses ----------------------------------------------------------------------------------------------


class TwoArguments:
    factor = 2.0

    def forward(self, scores, targets):
        return ((scores - targets) ** 2).sum() / len(scores)

    def backward(self, scores, targets):
        return self.factor * (scores - targets) / len(scores)


def test_losses_in_every_form():
    class OneArgument(TwoArguments):
        def forward(self, scores, targets):
            self.given = scores, targets
            return super().forward(scores, targets)

        def backward(self, grad):
            return grad * super().backward(*self.given)

    class InOneArray(OneArgument):
        def forward(self, scores, targets):
            return np.array([[super().forward(scores, targets)]])

        def backward(self):
            return TwoArguments.backward(self, *self.given)

    def function(scores, targets):
        return TwoArguments().forward(scores, targets), TwoArguments().backward(scores, targets)

    for loss in (TwoArguments(), OneArgument(), InOneArray(), function):
        check_loss(loss, X, np.ones((5, 4))).assert_ok()
    TwoArguments.factor = 1.0
    try:
        for loss in (TwoArguments(), OneArgument(), InOneArray(), function):
            assert "scores: is half the right gradient" in check_loss(loss, X, np.ones((5, 4))).mistakes[0]
    finally:
        TwoArguments.factor = 2.0


# ---- exceptions and other results ------------------------------------------------------------------------


class Raises:
    def __init__(self, error, where="backward"):
        self.error, self.where = error, where

    def forward(self, x):
        if self.where == "forward":
            raise self.error
        return 2 * x

    def backward(self, grad_y):
        raise self.error


def line_of(code):
    return code.__code__.co_firstlineno


def test_an_exception_is_a_failed_result_with_its_type_and_line():
    result = check_layer(Raises(ValueError("shapes (5,4) and\n(3,) not aligned")), X)
    line = line_of(Raises.backward) + 1
    assert result.mistakes == (
        f"backward raised ValueError: shapes (5,4) and (3,) not aligned (test_gradcheck_forms.py, line {line})",
    )
    assert not result
    for error in (SystemExit(0), ZeroDivisionError()):
        assert f"forward raised {type(error).__name__}" in check_layer(Raises(error, "forward"), X).mistakes[0]
    text = check_layer(Raises(NotImplementedError()), X).mistakes[0]
    assert text.startswith("backward is not implemented yet: it raises NotImplementedError (test_gradcheck")


def test_an_error_inside_numpy_names_the_line_that_called_it():
    class Product(Raises):
        def backward(self, grad_y):
            return np.linalg.solve(np.ones((2, 3)), grad_y)

    line = line_of(Product.backward) + 1
    assert f"(test_gradcheck_forms.py, line {line})" in check_layer(Product(None), X).mistakes[0]


def test_ctrl_c_is_not_swallowed():
    with pytest.raises(KeyboardInterrupt):
        check_layer(Raises(KeyboardInterrupt()), X)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "forward returned None: is a return missing?"),
        ((1.0, 2.0), "forward returned a tuple of 2 values instead of one array"),
        ("text", "forward returned str instead of an array of real numbers"),
        ([[1], [1, 2]], "forward returned list instead of an array of real numbers"),
    ],
)
def test_results_that_are_no_array(value, words):
    class Odd:
        def forward(self, x):
            return value

        def backward(self, grad_y):
            return grad_y

    assert check_layer(Odd(), X).mistakes == (words,)


def test_missing_methods_and_uncopyable_layers_fail():
    assert (
        "backward raised AttributeError" in check_layer(type("F", (), {"forward": lambda s, x: x})(), X).mistakes[0]
    )

    class Holds(Unseen):
        def __init__(self):
            super().__init__()
            self.file = sys.stdout.buffer if hasattr(sys.stdout, "buffer") else iter(())
            self.generator = (i for i in range(3))

    assert "copying it raised TypeError" in check_layer(Holds(), X).mistakes[0]


def test_an_exception_while_entries_are_moved_keeps_the_rest():
    class Bounded:
        def forward(self, x):
            if x.max() > X.max() + 1e-9:
                raise ValueError("too large")
            return x * 1.0

        def backward(self, grad_y):
            return grad_y

    result = check_layer(Bounded(), X)
    assert not result
    assert "forward raised ValueError: too large" in result.mistakes[0]
