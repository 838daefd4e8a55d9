"""Every mistake that the checker knows must be rejected, and named."""

import numpy as np
import pytest

from mlp.gradcheck import check_function, check_layer, check_loss, check_network


class Parameter:
    def __init__(self, data):
        self.data, self.grad = data, np.zeros_like(data)


class Linear:
    """Correct; the wrong versions below override ``dW``, ``db``, ``dx`` or one of the methods."""

    def __init__(self, n_in=4, n_out=3):
        rng = np.random.default_rng(0)
        self.weight = Parameter(rng.normal(size=(n_in, n_out)))
        self.bias = Parameter(rng.normal(size=n_out))

    def parameters(self):
        return {"weight": self.weight, "bias": self.bias}

    def zero_grad(self):
        for parameter in self.parameters().values():
            parameter.grad = np.zeros_like(parameter.data)

    def forward(self, x):
        self.x = x
        return x @ self.weight.data + self.bias.data

    def dW(self, g):
        return self.x.T @ g

    def db(self, g):
        return g.sum(axis=0)

    def dx(self, g):
        return g @ self.weight.data.T

    def backward(self, grad_y):
        self.weight.grad = self.weight.grad + self.dW(grad_y)
        self.bias.grad = self.bias.grad + self.db(grad_y)
        return self.dx(grad_y)


class Elementwise:
    """``f`` with the derivative ``df``, both given."""

    def __init__(self, f, df):
        self.f, self.df = f, df

    def forward(self, x):
        self.x = x
        return self.f(x)

    def backward(self, grad_y):
        return grad_y * self.df(self.x)


def relu(x):
    return np.maximum(x, 0)


def step(x):
    return 1.0 * (x > 0)


@pytest.fixture
def x():
    return np.random.default_rng(3).normal(size=(5, 4))


def wrong(**methods):
    """A Linear layer in which these methods are replaced."""
    return type("Wrong", (Linear,), methods)


def rejected(result, *words):
    """The result must be a failure whose mistakes contain all these words; returns it for more questions."""
    assert not result
    with pytest.raises(AssertionError, match="FAILED"):
        result.assert_ok()
    text = "\n".join(result.mistakes)
    for word in words:
        assert word in text, str(result)
        assert f"{word}" in str(result)
    return result


def test_the_base_is_right(x):
    check_layer(Linear(), x).assert_ok()


# ---- constant factors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (1 / 5, "weight: is 1/N of the right gradient (N = 5, the batch size): a mean where a sum belongs"),
        (5, "weight: is N times the right gradient (N = 5, the batch size): a sum where a mean belongs"),
        (
            2,
            "weight: is twice the right gradient: a doubled factor of two, a lost ½, or backward adds it",
        ),
        (0.5, "weight: is half the right gradient: a lost factor of two"),
        (-1, "weight: has the wrong sign: it is -1 times the right gradient"),
        (-5, "weight: has the wrong sign, and is N times the right gradient"),
        (-2, "weight: has the wrong sign, and is twice the right gradient"),
        (3.7, "weight: is 3.7 times the right gradient, at every entry"),
        (1.001, "weight: is 1.001 times the right gradient, at every entry"),
        (1.00001, "weight: is 1.00001 times the right gradient, at every entry"),
    ],
)
def test_a_constant_factor(x, factor, words):
    layer = wrong(dW=lambda self, g: factor * (self.x.T @ g))()
    result = rejected(check_layer(layer, x), words)
    assert [c.ok for c in result.comparisons] == [True, False, True]
    assert result.comparisons[1].failed == 12
    assert len(result.mistakes) == 1


def test_one_mistake_in_all_arrays_is_one_sentence(x):
    layer = wrong(backward=lambda self, g: Linear.backward(self, g / 5))()
    result = rejected(check_layer(layer, x), "x, weight, bias: is 1/N of the right gradient")
    assert len(result.mistakes) == 1


def test_two_explanations_are_both_named():
    layer = wrong(db=lambda self, g: 2 * g.sum(axis=0))()
    x = np.random.default_rng(0).normal(size=(2, 4))
    rejected(check_layer(layer, x), "is N times the right gradient (N = 2, the batch size)", "; or is twice")


def test_a_bias_with_the_mean_over_the_batch(x):
    layer = wrong(db=lambda self, g: g.mean(axis=0))()
    rejected(check_layer(layer, x), "bias: is 1/N of the right gradient (N = 5, the batch size)")


def test_the_mean_over_all_leading_axes():
    class OverRows(Linear):
        def backward(self, grad_y):
            rows, g = self.x.reshape(-1, 4), grad_y.reshape(-1, 3)
            self.weight.grad = self.weight.grad + rows.T @ g / len(g)
            self.bias.grad = self.bias.grad + g.sum(axis=0)
            return self.dx(grad_y)

    x = np.random.default_rng(0).normal(size=(5, 7, 4))
    rejected(check_layer(OverRows(), x), "weight: is 1/M of the right gradient (M = 35, the number of rows")


class SquaredError:
    factor = 2.0

    def forward(self, scores, targets):
        self.difference = scores - targets
        return (self.difference**2).mean(axis=0).sum()

    def backward(self):
        return self.factor * self.difference / len(self.difference)


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (1, "scores: is half the right gradient: a lost factor of two"),
        (4, "scores: is twice the right gradient"),
        (2 * 5, "scores: is N times the right gradient (N = 5, the batch size)"),
        (2 / 5, "scores: is 1/N of the right gradient (N = 5, the batch size)"),
        (2 / 4, "scores: is 1/C of the right gradient (C = 4, the number of columns)"),
        (2 / 20, "scores: is 1/NC of the right gradient (NC = 20, the number of all scores)"),
        (-2, "scores: has the wrong sign"),
    ],
)
def test_a_constant_factor_of_a_loss(x, factor, words):
    loss = SquaredError()
    check_loss(loss, x, np.ones((5, 4))).assert_ok()
    loss.factor = factor
    rejected(check_loss(loss, x, np.ones((5, 4))), words)


def test_a_loss_whose_mean_is_lost_in_the_network(x):
    loss = SquaredError()
    loss.factor = 2 * 5
    result = check_network(Linear(), x, np.ones((5, 3)), loss)
    rejected(result, "x, weight, bias: is N times the right gradient (N = 5, the batch size)")
    assert str(result).startswith("gradient check of Linear with SquaredError: FAILED")


# ---- another array in place of the gradient --------------------------------------------------------------


def test_the_transpose(x):
    square = wrong(dW=lambda self, g: g.T @ self.x)(4, 4)
    rejected(check_layer(square, x), "weight: is the transpose of the right gradient")

    class Replaces(Linear):
        def backward(self, grad_y):
            self.weight.grad = grad_y.T @ self.x
            return self.dx(grad_y)

    rejected(
        check_layer(Replaces(), x), "weight: the gradient has shape (3, 4), expected (4, 3): it is the transpose"
    )
    inputs = wrong(dx=lambda self, g: (g @ self.weight.data.T).T)()
    rejected(check_layer(inputs, x), "x: the gradient has shape (4, 5), expected (5, 4): it is the transpose")


def test_multiplying_by_the_weight_instead_of_its_transpose(x):
    rejected(check_layer(wrong(dx=lambda self, g: g @ self.weight.data)(4, 4), x), "no known mistake fits")


def test_a_bias_without_the_sum_over_the_batch(x):
    rejected(check_layer(wrong(db=lambda self, g: g[0])(), x), "bias: equals row 0 of the upstream gradient alone")
    rejected(check_layer(wrong(db=lambda self, g: g[-1])(), x), "row 4 of the upstream gradient alone: no sum over")
    text = "bias: the gradient has shape (5, 3), expected (3,): no sum over the batch"
    rejected(check_layer(wrong(db=lambda self, g: g)(), x), text)
    text = "bias: the gradient has shape (1, 3), expected (3,): the summed axis was kept (keepdims)"
    rejected(check_layer(wrong(db=lambda self, g: g.sum(axis=0, keepdims=True))(), x), text)


def test_all_zeros(x):
    rejected(check_layer(wrong(dW=lambda self, g: 0.0)(), x), "weight: is all zeros")

    def softmax(x):
        e = np.exp(x)
        return e / e.sum(axis=-1, keepdims=True)

    # With an upstream of ones the right answer would be zeros.
    rejected(check_function(softmax, lambda x, g: np.zeros_like(x), x), "x: is all zeros")


def test_the_upstream_gradient_itself(x):
    text = "x: equals the upstream gradient: the local derivative is forgotten"
    rejected(check_layer(Elementwise(np.tanh, np.ones_like), x), text)
    rejected(check_layer(Elementwise(relu, np.ones_like), x), text)


def test_the_upstream_gradient_left_out(x):
    class Alone(Elementwise):
        def backward(self, grad_y):
            return self.df(self.x)

    text = "x: is the local derivative alone: it has to be multiplied by the upstream gradient"
    rejected(check_layer(Alone(np.tanh, lambda x: 1 - np.tanh(x) ** 2), x), text)
    rejected(check_layer(Alone(relu, step), x), text)


# ---- right in one place and wrong in another -------------------------------------------------------------


def leaky(x):
    return np.where(x > 0, x, 0.1 * x)


def relu6(x):
    return np.clip(x, 0, 6)


@pytest.mark.parametrize(
    ("f", "df", "words"),
    [
        (leaky, step, "x: is wrong only where x <= 0: the mask, or the branch of the formula for x <= 0"),
        (leaky, lambda x: np.where(x > 0, 0.9, 0.1), "x: is wrong only where x > 0"),
        (relu, lambda x: step(x) - 0.5 * (x < 0), "x: is wrong only where x < 0"),
        (lambda x: x**2, lambda x: 2 * x + (x == 0), "x: is wrong only where x == 0"),
        (relu6, step, "x: is wrong only where x > "),
    ],
    ids=["negative", "positive", "offset", "at zero", "beyond six"],
)
def test_a_wrong_mask(f, df, words):
    x = np.random.default_rng(0).normal(size=(8, 6)) * 5
    x[2, 3] = 0
    rejected(check_layer(Elementwise(f, df), x), words)


def test_one_wrong_entry_among_ten_thousand(x):
    def dW(self, g):
        gradient = self.x.T @ g
        gradient[37, 58] *= 1.001
        return gradient

    x = np.random.default_rng(0).normal(size=(3, 100))
    result = rejected(
        check_layer(wrong(dW=dW)(100, 100), x), "weight: is wrong in one entry of 10000 only, [37, 58]"
    )
    comparison = result.comparisons[1]
    assert comparison.index == (37, 58)
    assert comparison.failed == 1
    assert comparison.relative_error == pytest.approx(1e-3, rel=1e-2)


def test_a_forgotten_row_and_scattered_entries(x):
    def first_row_lost(self, g):
        gradient = g @ self.weight.data.T
        gradient[0] = 0
        return gradient

    def scattered(self, g):
        gradient = self.x.T @ g
        gradient[[0, 1, 3], [2, 0, 1]] += 1
        return gradient

    rejected(check_layer(wrong(dx=first_row_lost)(), x), "x: is wrong only at index 0 along axis 0 (of 5)")
    rejected(check_layer(wrong(dW=scattered)(), x), "weight: is wrong in 3 of 12 entries, and right in the others")


def test_a_classification_loss_without_its_one_hot_part(x):
    class CrossEntropy:
        def forward(self, scores, targets):
            e = np.exp(scores)
            self.p = e / e.sum(axis=1, keepdims=True)
            return -np.log(self.p[np.arange(len(targets)), targets]).mean()

        def backward(self):
            return self.p / len(self.p)

    rejected(
        check_loss(CrossEntropy(), x, [0, 1, 3, 2, 0]), "scores: is wrong only at each row's target: the one-hot"
    )


# ---- kinks hide nothing ----------------------------------------------------------------------------------


@pytest.mark.parametrize("slope", [-0.01, 1.001, 2.0, 1e6])
def test_a_slope_outside_the_one_sided_ones_at_the_kink(slope):
    layer = Elementwise(relu, lambda x: np.where(x == 0, slope, step(x)))
    result = rejected(check_layer(layer, [[0.0, 1.0, -1.0]]), "x")
    assert result.comparisons[0].index == (0, 0)


@pytest.mark.parametrize("slope", [0.0, 0.3, 0.5, 1.0])
def test_a_slope_between_the_one_sided_ones_at_the_kink(slope):
    check_layer(Elementwise(relu, lambda x: np.where(x == 0, slope, step(x))), [[0.0, 1.0, -1.0]]).assert_ok()


@pytest.mark.parametrize("distance", [1e-7, -1e-7, 1e-6, 3e-6, -5e-6, 1e-5, -2e-5])
@pytest.mark.parametrize("error", [1, 0.5, 0.1, 1e-3])
def test_a_wrong_slope_near_the_kink(distance, error):
    layer = Elementwise(relu, lambda x: step(x) + np.where(x == distance, -error * np.sign(distance), 0))
    result = check_layer(layer, [[distance, 1.0, -1.0]])
    assert not result
    assert result.comparisons[0].index == (0, 0)


def test_a_wrong_slope_at_the_kinks_of_a_network_is_explained():
    class Hidden(Linear):
        """y = sum of relu(x @ weight), with a doubled gradient; at x = 0 all units bend at once."""

        def parameters(self):
            return {}

        def forward(self, x):
            return relu(x @ self.weight.data).sum(axis=-1, keepdims=True)

        def backward(self, grad_y):
            return 2 * grad_y @ np.abs(self.weight.data).sum(axis=1, keepdims=True).T

    result = rejected(
        check_layer(Hidden(), np.zeros((1, 4))), "x: is wrong only at a kink or beside it", "bend there"
    )
    assert result.comparisons[0].failed > 0
    assert result.comparisons[0].kinks + result.comparisons[0].failed == 4


def test_a_factor_is_found_in_every_kind_of_network(x):
    for f, df in ((relu, step), (np.tanh, lambda x: 1 - np.tanh(x) ** 2), (np.exp, np.exp)):
        check_layer(Elementwise(f, df), x).assert_ok()
        rejected(check_layer(Elementwise(f, lambda x, df=df: 1.001 * df(x)), x), "is 1.001 times")


# ---- gradients that cannot be compared -------------------------------------------------------------------


def test_no_gradient_at_all(x):
    text = "x: backward returned None instead of the gradient with respect to its input"
    rejected(check_layer(wrong(dx=lambda self, g: None)(), x), text)

    class Forgets(Linear):
        def backward(self, grad_y):
            self.weight.grad = None
            self.bias.grad = self.bias.grad + self.db(grad_y)
            return self.dx(grad_y)

        def zero_grad(self):
            self.bias.grad = np.zeros(3)

    result = rejected(check_layer(Forgets(), x), "weight: .grad is None after backward")
    assert "weight (4, 3): WRONG" in str(result)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_gradients_and_outputs_that_are_not_finite(x, value):
    def dW(self, g):
        gradient = self.x.T @ g
        gradient[0, 1] = value
        return gradient

    text = "weight: the gradient is not finite (NaN or infinity) in 1 of 12 entries"
    rejected(check_layer(wrong(dW=dW)(), x), text)
    layer = Elementwise(lambda x: np.where(x == x.max(), value, x), np.ones_like)
    rejected(check_layer(layer, x), "forward gives values that are not finite at 1 outputs")


def test_another_wrong_shape(x):
    text = "x: the gradient has shape (5, 3), expected (5, 4)"
    rejected(check_layer(wrong(dx=lambda self, g: g)(), x), text)


# ---- behaviour over several calls ------------------------------------------------------------------------


def test_overwriting_instead_of_accumulating(x):
    class Overwrites(Linear):
        def backward(self, grad_y):
            self.weight.grad = self.dW(grad_y)
            self.bias.grad = self.bias.grad + self.db(grad_y)
            return self.dx(grad_y)

    result = rejected(check_layer(Overwrites(), x), "weight: a second backward overwrites .grad instead of adding")
    assert all(c.ok for c in result.comparisons)
    assert len(result.mistakes) == 1
    check_layer(Overwrites(), x, behaviour=False).assert_ok()


def test_adding_in_another_way_than_by_a_sum(x):
    class Averages(Linear):
        def backward(self, grad_y):
            Linear.backward(self, grad_y)
            self.weight.grad = np.where(self.calls, 0.75, 1.0) * self.weight.grad
            self.calls += 1
            return self.dx(grad_y)

        def zero_grad(self):
            Linear.zero_grad(self)
            self.calls = 0

        calls = 0

    rejected(check_layer(Averages(), x), "weight: after a second backward without clearing, .grad is not twice")


def test_gradients_that_double_within_one_backward(x):
    class Twice(Linear):
        def backward(self, grad_y):
            super().backward(grad_y)
            return super().backward(grad_y)

    rejected(
        check_layer(Twice(), x), "weight, bias: is twice the right gradient", "or backward adds it to .grad twice"
    )


def test_zero_grad_that_does_not_clear(x):
    def zero_grad(self):
        self.weight.grad = np.zeros_like(self.weight.data)

    result = rejected(check_layer(wrong(zero_grad=zero_grad)(), x), "bias: zero_grad does not clear the gradient")
    assert len(result.mistakes) == 1


def test_an_input_gradient_that_accumulates(x):
    class Accumulates(Linear):
        total = 0.0

        def dx(self, g):
            self.total = self.total + g @ self.weight.data.T
            return self.total

    result = rejected(check_layer(Accumulates(), x), "the input gradient accumulates over calls")
    assert len(result.mistakes) == 1


def test_changed_arguments(x):
    class ForwardInPlace(Elementwise):
        def forward(self, x):
            self.x = x.copy()
            return np.maximum(x, 0, out=x)

    class BackwardInPlace(Elementwise):
        def backward(self, grad_y):
            grad_y *= self.df(self.x)
            return grad_y

    class BackwardChangesInput(Elementwise):
        def backward(self, grad_y):
            self.x = np.multiply(self.x, 1.0 * (self.x > 0), out=self.x)
            return grad_y * step(self.x)

    class BackwardSpoilsOutput(Elementwise):
        def forward(self, x):
            self.y = np.tanh(x)
            return self.y

        def backward(self, grad_y):
            gradient = grad_y * (1 - self.y**2)
            self.y[...] = 0
            return gradient

    for kind, words in (
        (ForwardInPlace, "forward changes its argument x in place"),
        (BackwardInPlace, "backward changes its argument, the upstream gradient, in place"),
        (BackwardChangesInput, "backward changes x, the argument of forward, in place"),
        (BackwardSpoilsOutput, "backward overwrites the output that forward returned"),
    ):
        result = rejected(check_layer(kind(relu, step), x), words)
        assert all(c.ok for c in result.comparisons), str(result)
        assert len(result.mistakes) == 1


def test_changed_scores_and_targets(x):
    class InPlace(SquaredError):
        def forward(self, scores, targets):
            scores -= targets
            self.difference = scores.copy()
            return (self.difference**2).mean(axis=0).sum()

    class Targets(SquaredError):
        def backward(self):
            self.given += 1
            return super().backward()

        def forward(self, scores, targets):
            self.given = targets
            return super().forward(scores, targets)

    rejected(check_loss(InPlace(), x, np.ones((5, 4))), "forward changes its argument scores in place")
    targets = np.ones((5, 4))
    rejected(check_loss(Targets(), x, targets), "the targets are changed in place")
    np.testing.assert_array_equal(targets, 1)


def test_overwritten_results(x):
    class OutputBuffer(Elementwise):
        buffer = None

        def forward(self, x):
            self.x = x
            if self.buffer is None:
                self.buffer = np.empty_like(x)
            self.buffer[...] = self.f(x)
            return self.buffer

    class GradientBuffer(Elementwise):
        buffer = None

        def backward(self, grad_y):
            if self.buffer is None:
                self.buffer = np.empty_like(grad_y)
            self.buffer[...] = super().backward(grad_y)
            return self.buffer

    for kind, words in (
        (OutputBuffer, "a later forward overwrites the output array that an earlier forward returned"),
        (GradientBuffer, "a later backward overwrites the gradient array that an earlier backward returned"),
    ):
        result = rejected(check_layer(kind(np.sinh, np.cosh), x), words)
        assert all(c.ok for c in result.comparisons), str(result)
        assert len(result.mistakes) == 1


def test_a_stale_cache(x):
    class StaleMask(Elementwise):
        mask = None

        def forward(self, x):
            if self.mask is None:
                self.mask = x > 0
            return relu(x)

        def backward(self, grad_y):
            return grad_y * self.mask

    class StaleInput(Linear):
        first = None

        def forward(self, x):
            self.first = x if self.first is None else self.first
            self.x = self.first
            return x @ self.weight.data + self.bias.data

    class StaleOutput(Elementwise):
        shift = None

        def forward(self, x):
            self.shift = x.mean() if self.shift is None else self.shift
            return super().forward(x) + 0 * x + self.shift - self.shift**2

    stale = "stale cache: right in the first call only, "
    result = rejected(check_layer(StaleMask(relu, step), x), stale + "the input gradient changes")
    assert result.comparisons[0].ok
    result = rejected(check_layer(StaleInput(), x), stale + "weight changes")
    assert all(c.ok for c in result.comparisons)
    rejected(check_layer(StaleOutput(np.tanh, lambda x: 1 - np.tanh(x) ** 2), x), stale + "the output changes")


def test_a_forward_that_is_not_deterministic(x):
    class Noise(Elementwise):
        def __init__(self):
            self.rng = np.random.default_rng(0)

        def forward(self, x):
            self.mask = self.rng.random(x.shape) < 0.5
            return x * self.mask

        def backward(self, grad_y):
            return grad_y * self.mask

    rejected(check_layer(Noise(), x), "forward is not deterministic")


def test_the_text_of_a_failure_is_short_and_complete(x):
    layer = wrong(dW=lambda self, g: 2 * self.x.T @ g)()
    lines = str(check_layer(layer, x)).splitlines()
    assert lines[0] == "gradient check of Wrong: FAILED"
    assert lines[1].startswith("  weight (4, 3): WRONG in 12 of 12 entries, worst at [")
    assert lines[-1].startswith("  likely mistake: weight: is twice")
    assert len(lines) == 5


def test_a_deep_network_is_summed_up(x):
    class Deep:
        def __init__(self):
            self.layers = [Linear(4, 4) for _ in range(5)]

        def parameters(self):
            return {f"{i}.{n}": p for i, layer in enumerate(self.layers) for n, p in layer.parameters().items()}

        def forward(self, x):
            for layer in self.layers:
                x = np.tanh(layer.forward(x))
                layer.y = x
            return x

        def backward(self, g):
            for layer in reversed(self.layers):
                g = layer.backward(g * (1 - layer.y**2))
            return g

    result = check_layer(Deep(), x)
    result.assert_ok()
    assert str(result).endswith("  and 5 more arrays: ok")
