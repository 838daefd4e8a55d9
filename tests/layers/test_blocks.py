"""The blocks on numbers small enough for paper, against PyTorch, and in the packed forms of other libraries."""

import numpy as np
import pytest

from mlp import CrossEntropyLoss, GeLU, InputError, Layer, Linear, Network, ReLU, Sigmoid
from mlp.gradcheck import check_layer, check_network
from mlp.initializers import constant, normal
from mlp.layers import GatedMlp, Mlp, Residual
from mlp.layers.gated_blocks import gated_width

OPTIONS = {"weight_init": normal(0.7), "bias_init": normal(0.7), "rng": 3, "dtype": np.float64}
BLOCKS = {
    "Mlp": lambda **options: Mlp(4, 6, 3, **OPTIONS | options),
    "GatedMlp": lambda **options: GatedMlp(4, 6, 3, multiple_of=2, **OPTIONS | options),
}
each_block = pytest.mark.parametrize("make", BLOCKS.values(), ids=BLOCKS)


def x(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


class TestWorkedNumbers:
    def test_mlp(self):
        block = Mlp(1, 2, activation="ReLU", weight_init=constant(2), dtype=np.float64)
        block.fc1.bias.data = np.array([1.0, -7])
        # x = 3: x W1 + b1 = (7, -1), ReLU gives (7, 0), and y = 2·7 + 2·0 = 14.
        assert block.forward(np.array([[3.0]])) == 14
        # Only the first hidden unit is active: dy/dx = 2·2.
        assert block.backward(np.array([[1.0]])) == 4
        assert block.fc1.weight.grad.tolist() == [[6, 0]]  # x·2 where active
        assert block.fc2.weight.grad.tolist() == [[7], [0]]  # the hidden activations

    def test_gated(self):
        block = GatedMlp(1, 1, activation="ReLU", multiple_of=1, weight_init=constant(1), dtype=np.float64)
        block.value.weight.data[...], block.gate.weight.data[...], block.fc2.weight.data[...] = 2, 3, 5
        # x = 4: v = 8, g = 12, h = 8·12 = 96, y = 5·96 = 480.
        assert block.forward(np.array([[4.0]])) == 480
        # y = 5 · 2x · 3x = 30 x², so dy/dx = 60 x = 240.
        assert block.backward(np.array([[1.0]])) == 240
        assert block.value.weight.grad == 5 * 12 * 4  # dL/dh · a · x
        assert block.gate.weight.grad == 5 * 8 * 4  # dL/dh · v · x
        # A closed gate lets nothing through, in either direction.
        assert block.forward(np.array([[-4.0]])) == 0
        assert block.backward(np.array([[1.0]])) == 0


class TestWidths:
    @pytest.mark.parametrize(("n", "hidden"), [(784, 2176), (1024, 2816), (4096, 11008)])
    def test_the_hidden_width_of_a_gated_block(self, n, hidden):
        # 8/3 of 784, 1024, 4096 is 2090.67, 2730.67, 10922.67; the next multiples of 128 are 17, 22 and 86 of them.
        assert gated_width(n) == hidden

    def test_every_width_is_real(self):
        block = GatedMlp(784, out_features=5)
        assert (block.in_features, block.hidden_features, block.out_features) == (784, 2176, 5)
        assert block.value.weight.shape == block.gate.weight.shape == (784, 2176)
        assert block.fc2.weight.shape == (2176, 5)

    def test_a_given_width_is_rounded_up_too(self):
        widths = [
            GatedMlp(3, h, multiple_of=m).hidden_features for h, m in [(1, 128), (128, 128), (129, 128), (7, 1)]
        ]
        assert widths == [128, 128, 256, 7]

    def test_defaults(self):
        block = Mlp(3)
        assert (block.in_features, block.hidden_features, block.out_features) == (3, 12, 3)
        assert isinstance(block.activation, GeLU)
        assert isinstance(GatedMlp(3).activation, Sigmoid)
        assert block.fc1.weight.data.std() == pytest.approx((2 / block.in_features) ** 0.5, rel=0.5)

    def test_both_blocks_have_as_many_weights(self):
        # 2 · 3 · 12 = 72 and 3 · 3 · 8 = 72.
        plain, gated = Mlp(3, bias1=False, bias2=False), GatedMlp(3, multiple_of=1, bias1=False, bias2=False)
        count = {sum(p.size for p in block.parameters().values()) for block in (plain, gated)}
        assert count == {72}

    @pytest.mark.parametrize("kind", [Mlp, GatedMlp])
    @pytest.mark.parametrize("which", ["in_features", "hidden_features", "out_features"])
    @pytest.mark.parametrize("size", [0, -1, 2.0, "2", True])
    def test_refuses_sizes(self, kind, which, size):
        with pytest.raises(InputError, match=f"{kind.__name__}: {which} must be an integer of at least 1, got"):
            kind(**{"in_features": 3, which: size})

    def test_refuses_a_multiple_of_nothing(self):
        with pytest.raises(InputError, match="GatedMlp: multiple_of must be an integer of at least 1, got 0"):
            GatedMlp(3, multiple_of=0)

    @each_block
    def test_refuses_another_width(self, make):
        with pytest.raises(InputError, match=r"expects 4 features in the last axis, got shape \(2, 5\)"):
            make().forward(x(2, 5))


class TestActivation:
    @each_block
    def test_is_a_name_or_a_layer(self, make):
        for activation in ("relu", ReLU()):
            assert isinstance(make(activation=activation).activation, ReLU)

    @each_block
    @pytest.mark.parametrize("activation", [None, 3, ReLU])
    def test_refuses_what_is_neither(self, make, activation):
        with pytest.raises(InputError, match="activation must be a name or a layer, got"):
            make(activation=activation)

    @each_block
    def test_refuses_an_unknown_name(self, make):
        with pytest.raises(InputError, match="unknown activation 'swish!'"):
            make(activation="swish!")

    def test_a_gate_of_ones_leaves_the_plain_product(self):
        """With the identity and a gate that is 1 everywhere, the block is two Linear layers."""
        block = BLOCKS["GatedMlp"](activation="Identity")
        block.gate.weight.data[...], block.gate.bias.data[...] = 0, 1
        np.testing.assert_allclose(block(x(5, 4)), block.fc2(block.value(x(5, 4))), rtol=1e-15)


class TestInitialValues:
    def test_are_drawn_in_the_order_of_the_names(self):
        block = GatedMlp(3, 2, multiple_of=2, rng=5)
        rng = np.random.default_rng(5)
        assert list(block.parameters()) == [
            "value.weight", "value.bias", "gate.weight", "gate.bias", "fc2.weight", "fc2.bias",
        ]  # fmt: skip
        for linear, shape in [(block.value, (3, 2)), (block.gate, (3, 2)), (block.fc2, (2, 3))]:
            drawn = rng.normal(0, (2 / shape[0]) ** 0.5, shape)  # He's
            np.testing.assert_allclose(linear.weight.data, drawn, rtol=1e-6)
            assert not linear.bias.data.any()

    @each_block
    def test_reset_draws_them_anew(self, make):
        block = make()
        before = {name: p.data.copy() for name, p in block.parameters().items()}
        for p in block.parameters().values():
            p.data[...] = 0
        block.reset_parameters(np.random.default_rng(3))
        for name, p in block.parameters().items():
            np.testing.assert_array_equal(p.data, before[name])

    def test_auto_suits_the_activation_inside(self):
        """He before a ReLU, variance 2/in; Xavier before the product and at the end, variance 2/(in + out)."""
        network = Network(GatedMlp(300, 200, 400, "ReLU", multiple_of=1), rng=0, init="auto")
        variance = {name: 2 / n for name, n in [("gate", 300), ("value", 300 + 200), ("fc2", 200 + 400)]}
        for name, expected in variance.items():
            assert network[0].children()[name].weight.data.var() == pytest.approx(expected, rel=0.02)

    @each_block
    def test_biases_can_be_left_out(self, make):
        assert {name for name in make(bias1=False).parameters() if "bias" in name} == {"fc2.bias"}
        assert "fc2.bias" not in make(bias2=False).parameters()


class TestReturnResidual:
    @each_block
    def test_forward_gives_the_pair(self, make):
        given = x(5, 4)
        y, residual = make(return_residual=True)(given)
        assert residual is given
        np.testing.assert_array_equal(y, make()(given))

    @each_block
    def test_backward_is_the_derivative_of_both(self, make):
        """In a layer that adds the residual back, scaled, so that the two ways differ."""

        class Caller(Layer):
            def __init__(self, block):
                super().__init__()
                self.block = block

            def forward(self, given):
                y, residual = self.block.forward(given)
                return y + 3 * residual

            def backward(self, grad_y):
                return self.block.backward((grad_y, 3 * grad_y))

        options = {"return_residual": True, "rng": 0}
        block = make(**options)
        caller = Caller(type(block)(4, 6, dtype=np.float64, weight_init=normal(1.0), **options))
        check_layer(caller, x(5, 4), rtol=1e-7).assert_ok()

    @each_block
    def test_parameters_alone(self, make):
        block, twin = make(return_residual=True), make()
        block(x(5, 4))
        twin(x(5, 4))
        block.backward_parameters((x(5, 3), x(5, 4)))
        twin.backward(x(5, 3))
        for name, p in twin.parameters().items():
            np.testing.assert_array_equal(block.parameters()[name].grad, p.grad)

    @each_block
    def test_backward_refuses_what_is_no_pair(self, make):
        block = make(return_residual=True)
        block(x(5, 4))
        with pytest.raises(InputError, match=r"backward takes the pair \(dL/dy, dL/dr\), got ndarray"):
            block.backward(x(2, 5, 3))
        with pytest.raises(InputError, match=r"the gradient has shape \(1, 4\), but the output had \(5, 4\)"):
            block.backward((x(5, 3), x(1, 4)))

    @each_block
    def test_a_network_refuses_it(self, make):
        for layers in (
            [make(return_residual=True)],
            [Residual(Linear(4, 4), make(return_residual=True), Linear(3, 4))],
        ):
            with pytest.raises(InputError, match=r"gives a pair \(y, x\), which the next layer .* cannot take"):
                Network(*layers)


class TestInNetworks:
    @each_block
    @pytest.mark.parametrize("shape", [(5, 4), (2, 3, 4)], ids=["batch", "batch and tokens"])
    def test_gradients(self, make, shape):
        network = Network(Linear(4, 4, weight_init=normal(1.0), rng=0, dtype=np.float64), make(), GeLU())
        check_network(network, x(*shape), rtol=1e-7).assert_ok()

    @each_block
    def test_a_training_step_in_lent_memory_is_the_same(self, make):
        network = Network(make(), GeLU(), Linear(3, 3, rng=0, dtype=np.float64))
        labels = np.arange(5) % 3
        for seed in (1, 2):
            network.training_step(x(5, 4, seed=seed), labels, CrossEntropyLoss())
            lent = network.parameters.grad.copy()
            network.zero_grad()
            loss = CrossEntropyLoss()
            loss.forward(network.forward(x(5, 4, seed=seed)), labels)
            network.backward(loss.backward())
            np.testing.assert_array_equal(network.parameters.grad, lent)

    @each_block
    def test_parameters_are_named_by_their_place(self, make):
        names = {p.name for p in Network(ReLU(), make()).parameters}
        assert {"1.fc2.weight", "1.fc2.bias"} < names

    @pytest.mark.parametrize(
        ("block", "text"),
        [
            (Mlp(2), "Mlp(2, 8, 2, GeLU())"),
            (Mlp(2, 3, 4, "ReLU", bias1=False), "Mlp(2, 3, 4, ReLU(), bias1=False)"),
            (GatedMlp(2), "GatedMlp(2, 128, 2, Sigmoid())"),
            (
                GatedMlp(2, 3, 4, "ReLU", bias2=False, multiple_of=1, return_residual=True),
                "GatedMlp(2, 3, 4, ReLU(), bias2=False, multiple_of=1, return_residual=True)",
            ),
        ],
        ids=str,
    )
    def test_repr_is_the_call(self, block, text):
        assert repr(block) == text
        assert repr(eval(text)) == text


class TestPacked:
    @pytest.mark.parametrize("bias", [True, False])
    @pytest.mark.parametrize("order", ["value_first", "gate_first"])
    def test_there_and_back(self, order, bias):
        block, other = (BLOCKS["GatedMlp"](bias1=bias, rng=rng) for rng in (1, 2))
        other.load_packed_fc1(*block.packed_fc1(order), order=order)
        other.fc2 = block.fc2
        np.testing.assert_array_equal(other(x(5, 4)), block(x(5, 4)))

    def test_the_orders_differ_by_their_halves(self):
        block = GatedMlp(2, 1, multiple_of=1, dtype=np.float64)
        block.value.weight.data, block.value.bias.data = np.array([[1.0], [2]]), np.array([3.0])
        block.gate.weight.data, block.gate.bias.data = np.array([[4.0], [5]]), np.array([6.0])
        weight, bias = block.packed_fc1()
        assert (weight.tolist(), bias.tolist()) == ([[1, 4], [2, 5]], [3, 6])
        weight, bias = block.packed_fc1("gate_first")
        assert (weight.tolist(), bias.tolist()) == ([[4, 1], [5, 2]], [6, 3])
        block.load_packed_fc1(weight, bias, "value_first")  # the wrong one: value and gate change places
        assert (block.value.weight.data.tolist(), block.gate.bias.data.tolist()) == ([[4], [5]], [3])

    def test_what_is_given_out_is_a_copy(self):
        block = BLOCKS["GatedMlp"]()
        before = block.value.weight.data.copy()
        for array in block.packed_fc1():
            array[...] = 9
        np.testing.assert_array_equal(block.value.weight.data, before)

    def test_refuses_what_does_not_fit_and_changes_nothing(self):
        block = BLOCKS["GatedMlp"]()
        before = block.value.weight.data.copy()
        weight, bias = block.packed_fc1()
        for wrong in [(weight.T, bias), (weight[:, :6], bias), (weight, None), (weight, bias[:6])]:
            with pytest.raises(InputError, match=r"shapes \(4, 12\) and \(12,\), got"):
                block.load_packed_fc1(*wrong)
        with pytest.raises(InputError, match="order must be one of value_first, gate_first, got 'value'"):
            block.load_packed_fc1(weight, bias, "value")
        with pytest.raises(InputError, match="order must be"):
            block.packed_fc1("gate")
        with pytest.raises(InputError, match=r"shapes \(4, 12\) and None, got"):
            BLOCKS["GatedMlp"](bias1=False).load_packed_fc1(weight, bias)
        np.testing.assert_array_equal(block.value.weight.data, before)


# The gate of each name as PyTorch has it.
GATES = {
    "Sigmoid": lambda F, g: F.sigmoid(g),
    "SiLU": lambda F, g: F.silu(g),
    "GeLU": lambda F, g: F.gelu(g, approximate="tanh"),
    "ReLU": lambda F, g: F.relu(g),
    "Identity": lambda F, g: g,
}  # fmt: skip


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch is the oracle of these tests and is not installed")


class TestAgainstPyTorch:
    """Re-implementations in PyTorch, with autograd's gradients, in float64 to 1e-12."""

    def compare(self, torch, block, their_function, names, shape):
        given, upstream = x(*shape), x(*shape[:-1], block.out_features, seed=2)
        theirs = {
            name: torch.tensor(p.data.T.copy(), requires_grad=True)
            for name, p in block.parameters().items()
        }  # fmt: skip
        their_x = torch.tensor(given, requires_grad=True)
        expected = their_function(their_x, theirs)
        expected.backward(torch.tensor(upstream))
        close = {"rtol": 1e-12, "atol": 1e-12}
        np.testing.assert_allclose(block.forward(given), expected.detach().numpy(), **close)
        np.testing.assert_allclose(block.backward(upstream), their_x.grad.numpy(), **close)
        assert set(names) == set(theirs)
        for name, p in block.parameters().items():
            np.testing.assert_allclose(p.grad, theirs[name].grad.numpy().T, **close)

    @pytest.mark.parametrize("shape", [(9, 4), (2, 3, 4), (4,), (0, 4)], ids=str)
    @pytest.mark.parametrize("bias1", [True, False])
    @pytest.mark.parametrize("bias2", [True, False])
    @pytest.mark.parametrize("activation", GATES)
    def test_mlp(self, torch, activation, bias1, bias2, shape):
        F = torch.nn.functional

        def their_mlp(given, p):
            hidden = F.linear(given, p["fc1.weight"], p.get("fc1.bias"))
            return F.linear(GATES[activation](F, hidden), p["fc2.weight"], p.get("fc2.bias"))

        block = BLOCKS["Mlp"](activation=activation, bias1=bias1, bias2=bias2)
        names = ["fc1.weight", "fc2.weight"] + ["fc1.bias"] * bias1 + ["fc2.bias"] * bias2
        self.compare(torch, block, their_mlp, names, shape)

    @pytest.mark.parametrize("shape", [(9, 4), (2, 3, 4), (4,), (0, 4)], ids=str)
    @pytest.mark.parametrize("bias1", [True, False])
    @pytest.mark.parametrize("bias2", [True, False])
    @pytest.mark.parametrize("activation", GATES)
    def test_gated(self, torch, activation, bias1, bias2, shape):
        F = torch.nn.functional

        def their_gated(given, p):
            v = F.linear(given, p["value.weight"], p.get("value.bias"))
            g = F.linear(given, p["gate.weight"], p.get("gate.bias"))
            return F.linear(v * GATES[activation](F, g), p["fc2.weight"], p.get("fc2.bias"))

        block = BLOCKS["GatedMlp"](activation=activation, bias1=bias1, bias2=bias2)
        names = ["value.weight", "gate.weight", "fc2.weight"]
        names += ["value.bias", "gate.bias"] * bias1 + ["fc2.bias"] * bias2
        self.compare(torch, block, their_gated, names, shape)

    def test_the_packed_layer_is_that_of_glu(self, torch):
        """PyTorch's own GLU splits one layer's output into halves, the value first and the gate second."""
        F = torch.nn.functional
        block = BLOCKS["GatedMlp"]()
        weight, bias = (torch.tensor(a) for a in block.packed_fc1("value_first"))
        hidden = F.glu(F.linear(torch.tensor(x(9, 4)), weight.T, bias), dim=-1)
        theirs = F.linear(hidden, torch.tensor(block.fc2.weight.data.T), torch.tensor(block.fc2.bias.data))
        np.testing.assert_allclose(block(x(9, 4)), theirs.numpy(), rtol=1e-12, atol=1e-12)
