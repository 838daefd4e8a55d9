"""Weights go to PyTorch and come back: the same names, the same outputs, the same bits."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlp import InputError, Network
from mlp.bridges.pytorch import load_state_dict, to_state_dict
from mlp.initializers import normal
from mlp.layers import (
    BatchNorm,
    Dropout,
    EmbeddedColumns,
    Embedding,
    GatedMlp,
    GeLU,
    LayerNorm,
    Linear,
    Mlp,
    QuantizedLinear,
    ReLU,
    Residual,
    RMSNorm,
    Sequential,
    Tanh,
)

try:
    import torch
except ImportError:
    torch = None
needs_torch = pytest.mark.skipif(torch is None, reason="PyTorch is the oracle of this test and is not installed")

FEATURES, OUT = 5, 3


def shake(network: Network, seed: int = 1) -> Network:
    """The network with parameters and statistics that nothing starts with."""
    rng = np.random.default_rng(seed)
    network.load_state_dict({n: rng.uniform(0.1, 1, a.shape) for n, a in network.state_dict().items()})
    return network


def every_kind(dtype: type = np.float64) -> Network:
    network = Network(
        Linear(FEATURES, 6, dtype=dtype),
        BatchNorm(6, dtype=dtype),
        ReLU(),
        Linear(6, 4, bias=False, dtype=dtype),
        LayerNorm(4, dtype=dtype),
        RMSNorm(4, dtype=dtype),
        Dropout(0.5),
        Sequential(Linear(4, 7, dtype=dtype), Tanh(), Sequential(GeLU(), Linear(7, OUT, dtype=dtype))),
    )
    return shake(network)


def every_kind_in_torch():
    nn = torch.nn
    module = nn.Sequential(
        nn.Linear(FEATURES, 6),
        nn.BatchNorm1d(6),
        nn.ReLU(),
        nn.Linear(6, 4, bias=False),
        nn.LayerNorm(4),
        nn.RMSNorm(4, eps=1e-5),
        nn.Dropout(0.5),
        nn.Sequential(nn.Linear(4, 7), nn.Tanh(), nn.Sequential(nn.GELU(approximate="tanh"), nn.Linear(7, OUT))),
    ).double()
    generator = torch.Generator().manual_seed(0)
    state = {
        name: torch.rand(value.shape, generator=generator, dtype=torch.float64) + 0.1
        for name, value in module.state_dict().items()
        if value.is_floating_point()
    }
    module.load_state_dict(state, strict=False)
    return module.eval()


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).normal(size=shape)


def to_tensors(network: Network):
    return {name: torch.from_numpy(array) for name, array in to_state_dict(network).items()}


def assert_same_outputs(network: Network, module, x: np.ndarray) -> None:
    with torch.no_grad():
        expected = module(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(network.scores(x), expected, rtol=1e-12, atol=1e-12)


class TestLayout:
    def test_names_shapes_and_order(self):
        state = to_state_dict(every_kind())
        assert {name: array.shape for name, array in state.items()} == {
            "0.weight": (6, FEATURES),
            "0.bias": (6,),
            "1.weight": (6,),
            "1.bias": (6,),
            "1.running_mean": (6,),
            "1.running_var": (6,),
            "1.num_batches_tracked": (),
            "3.weight": (4, 6),
            "4.weight": (4,),
            "4.bias": (4,),
            "5.weight": (4,),
            "7.0.weight": (7, 4),
            "7.0.bias": (7,),
            "7.2.1.weight": (OUT, 7),
            "7.2.1.bias": (OUT,),
        }
        assert state["1.num_batches_tracked"].dtype == np.int64

    def test_a_weight_is_transposed(self):
        network = Network(Linear(2, 3))
        network[0].weight.data = [[1, 2, 3], [4, 5, 6]]
        network[0].bias.data = [7, 8, 9]
        state = to_state_dict(network)
        np.testing.assert_array_equal(state["0.weight"], np.float32([[1, 4], [2, 5], [3, 6]]), strict=True)
        np.testing.assert_array_equal(state["0.bias"], np.float32([7, 8, 9]), strict=True)

    @pytest.mark.parametrize(
        ("layer", "names"),
        [
            (Residual(Linear(4, 3), shortcut=Linear(4, 3, bias=False)),
             ["0.body.0.weight", "0.body.0.bias", "0.shortcut.weight"]),
            (Mlp(4, 8), ["0.fc1.weight", "0.fc1.bias", "0.fc2.weight", "0.fc2.bias"]),
            (GatedMlp(4, 8, bias1=False, multiple_of=1),
             ["0.value.weight", "0.gate.weight", "0.fc2.weight", "0.fc2.bias"]),
            (EmbeddedColumns(3, {2: Embedding(5, 2), 0: Embedding(4, 3)}), ["0.0.weight", "0.2.weight"]),
            (QuantizedLinear(4, 3), ["0.scale", "0.bias", "0.integers"]),
            (BatchNorm(4, affine=False), ["0.running_mean", "0.running_var", "0.num_batches_tracked"]),
        ],
        ids=lambda value: type(value).__name__ if not isinstance(value, list) else "",
    )  # fmt: skip
    def test_names_inside_of_layers(self, layer, names):
        # A Linear in front, because a network needs parameters; its own names are left out.
        network = Network(layer.astype(np.float32), Linear(getattr(layer, "out_features", 3), 2))
        assert [name for name in to_state_dict(network) if name.startswith("0.")] == names

    def test_arrays_are_contiguous_copies(self):
        network = every_kind()
        before = network.state_dict()
        for array in to_state_dict(network).values():
            assert array.flags.c_contiguous
            assert array.flags.owndata
            array[...] = 99
        for name, array in network.state_dict().items():
            np.testing.assert_array_equal(array, before[name])

    def test_pytorch_is_not_imported(self):
        program = (
            "import sys, mlp\n"
            "from mlp.bridges.pytorch import load_state_dict, to_state_dict\n"
            "network = mlp.Network(mlp.Linear(2, 3))\n"
            "load_state_dict(network, to_state_dict(network))\n"
            "assert not {'torch', 'sklearn', 'onnx'} & set(sys.modules)\n"
        )
        subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


class TestRoundTrip:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_every_bit_comes_back(self, dtype):
        network, other = every_kind(dtype), shake(every_kind(dtype), seed=2)
        load_state_dict(other, to_state_dict(network))
        for name, array in network.state_dict().items():
            np.testing.assert_array_equal(other.state_dict()[name], array, strict=True)

    @settings(deadline=None, max_examples=50, derandomize=True)
    @given(
        widths=st.lists(st.integers(1, 5), min_size=2, max_size=4),
        bias=st.booleans(),
        normalized=st.booleans(),
        seed=st.integers(0, 99),
    )
    def test_of_any_network(self, widths, bias, normalized, seed):
        def make(seed):
            layers = []
            for n_in, n_out in pairwise(widths):
                inner = [Linear(n_in, n_out, bias=bias), *([BatchNorm(n_out)] if normalized else [])]
                layers.append(Residual(*inner, shortcut=Linear(n_in, n_out)) if seed % 2 else Sequential(*inner))
            return shake(Network(*layers), seed)

        network, other = make(seed), make(seed + 2)
        load_state_dict(other, to_state_dict(network))
        for name, array in network.state_dict().items():
            np.testing.assert_array_equal(other.state_dict()[name], array, strict=True)

    def test_quantized_weights(self):
        network = Network(QuantizedLinear.of(Linear(4, 3, weight_init=normal(1.0), rng=0)))
        other = Network(QuantizedLinear(4, 3))
        load_state_dict(other, to_state_dict(network))
        np.testing.assert_array_equal(other[0].integers, network[0].integers, strict=True)
        assert other[0].integers.any()

    def test_lists_are_taken_and_the_dtype_is_kept(self):
        network = Network(Linear(2, 1))
        load_state_dict(network, {"0.weight": [[1, 2]], "0.bias": [0.5]})
        np.testing.assert_array_equal(network[0].weight.data, np.float32([[1], [2]]), strict=True)

    def test_parameters_stay_in_the_flat_vector(self):
        network = Network(Linear(2, 1), Linear(1, 1))
        load_state_dict(network, {"0.weight": [[1, 2]], "0.bias": [3], "1.weight": [[4]], "1.bias": [5]})
        np.testing.assert_array_equal(network.parameters.data, [1, 2, 3, 4, 5])

    def test_the_count_of_batches_may_be_missing(self):
        network = every_kind()
        state = to_state_dict(network)
        del state["1.num_batches_tracked"]
        load_state_dict(network, state)


class TestShared:
    def make(self):
        shared = Linear(FEATURES, FEATURES, weight_init=normal(1.0), rng=0)
        return Network(shared, Tanh(), shared)

    def test_it_has_both_names(self):
        state = to_state_dict(self.make())
        assert list(state) == ["0.weight", "0.bias", "2.weight", "2.bias"]
        np.testing.assert_array_equal(state["0.weight"], state["2.weight"])
        assert not np.shares_memory(state["0.weight"], state["2.weight"])
        load_state_dict(self.make(), state)

    def test_two_values_are_refused(self):
        network = self.make()
        before = network.state_dict()
        state = to_state_dict(network)
        state["2.bias"][1] = 9
        with pytest.raises(InputError, match=r"0\.bias and 2\.bias are one parameter"):
            load_state_dict(network, state)
        np.testing.assert_array_equal(network.state_dict()["0.bias"], before["0.bias"])

    def test_nan_in_both_places_is_one_value(self):
        network = self.make()
        state = to_state_dict(network)
        state["0.bias"][0] = state["2.bias"][0] = np.nan
        load_state_dict(network, state)
        assert np.isnan(network[0].bias.data[0])


class TestRefusals:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda s: s.pop("3.weight"), r"missing 3\.weight"),
            (lambda s: s.update({"8.weight": np.ones(3)}), r"not in this network: 8\.weight"),
            (lambda s: s.update({"3.weight": s["3.weight"].T}), r"3\.weight has shape \(6, 4\).*needs \(4, 6\)"),
            (lambda s: s.update({"4.bias": np.array(["a"] * 4)}), r"4\.bias must be an array of real numbers"),
            (lambda s: s.update({"4.bias": [[1, 2], [3]]}), r"4\.bias cannot become an array"),
            (lambda s: s.update({"1.num_batches_tracked": 0.5}), r"1\.num_batches_tracked must hold integers"),
        ],
    )
    def test_what_does_not_fit_changes_nothing(self, change, message):
        network = every_kind()
        before = network.state_dict()
        state = to_state_dict(shake(every_kind(), seed=2))
        change(state)
        with pytest.raises(InputError, match=message):
            load_state_dict(network, state)
        for name, array in network.state_dict().items():
            np.testing.assert_array_equal(array, before[name])

    def test_the_layout_is_told(self):
        with pytest.raises(InputError, match=r"PyTorch's: of a Linear, weight \(out, in\)"):
            load_state_dict(Network(Linear(2, 3)), {"0.weight": np.ones((2, 3)), "0.bias": np.ones(3)})

    def test_something_that_is_no_mapping(self):
        with pytest.raises(InputError, match=r"module\.state_dict\(\), got list"):
            load_state_dict(every_kind(), [np.ones(3)])


@needs_torch
class TestAgainstPyTorch:
    def test_to_pytorch(self):
        network, module = every_kind(), every_kind_in_torch()
        result = module.load_state_dict(to_tensors(network))
        assert (result.missing_keys, result.unexpected_keys) == ([], [])
        assert_same_outputs(network, module, draw(9, FEATURES))

    def test_from_pytorch(self):
        network, module = every_kind(), every_kind_in_torch()
        load_state_dict(network, module.state_dict())
        assert_same_outputs(network, module, draw(9, FEATURES))

    def test_there_and_back(self):
        module = every_kind_in_torch()
        network = every_kind()
        load_state_dict(network, module.state_dict())
        state = to_tensors(network)
        assert list(state) == list(module.state_dict())
        for name, value in module.state_dict().items():
            assert torch.equal(state[name], value)
            assert state[name].dtype == value.dtype

    def test_residual_and_blocks(self):
        nn = torch.nn

        class Block(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc1, self.fc2 = nn.Linear(FEATURES, 8), nn.Linear(8, FEATURES)

            def forward(self, x):
                return self.fc2(nn.functional.gelu(self.fc1(x), approximate="tanh"))

        class Gated(nn.Module):
            def __init__(self):
                super().__init__()
                self.value, self.gate = nn.Linear(FEATURES, 8), nn.Linear(FEATURES, 8)
                self.fc2 = nn.Linear(8, FEATURES)

            def forward(self, x):
                return self.fc2(self.value(x) * nn.functional.silu(self.gate(x)))

        class Around(nn.Module):
            def __init__(self):
                super().__init__()
                self.body = nn.Sequential(nn.Linear(FEATURES, OUT), nn.Tanh())
                self.shortcut = nn.Linear(FEATURES, OUT, bias=False)

            def forward(self, x):
                return self.shortcut(x) + self.body(x)

        module = nn.Sequential(Block(), Gated(), Around()).double()
        network = Network(
            Mlp(FEATURES, 8),
            GatedMlp(FEATURES, 8, activation="SiLU", multiple_of=1),
            Residual(Linear(FEATURES, OUT), Tanh(), shortcut=Linear(FEATURES, OUT, bias=False)),
            dtype=np.float64,
        )
        load_state_dict(network, module.state_dict())
        assert_same_outputs(network, module, draw(9, FEATURES))

    def test_embedding(self):
        module = torch.nn.Sequential(torch.nn.Embedding(7, FEATURES), torch.nn.Linear(FEATURES, OUT)).double()
        network = Network(Embedding(7, FEATURES), Linear(FEATURES, OUT), dtype=np.float64)
        load_state_dict(network, module.state_dict())
        indices = np.array([6, 0, 3, 3])
        with torch.no_grad():
            expected = module(torch.from_numpy(indices)).numpy()
        np.testing.assert_allclose(network.scores(indices), expected, rtol=1e-12, atol=1e-12)

    def test_training_goes_on_alike(self):
        # One step in training mode, so that batch statistics and running ones are compared as well.
        network, module = every_kind(), every_kind_in_torch()
        load_state_dict(network, module.state_dict())
        network = Network(*[layer.astype(np.float64) for layer in network.layers[:6]])
        module = module[:6].train()
        x = draw(9, FEATURES)
        y = network.forward(x)
        np.testing.assert_allclose(y, module(torch.from_numpy(x)).detach().numpy(), rtol=1e-12, atol=1e-12)
        for name in ("running_mean", "running_var"):
            expected = getattr(module[1], name).numpy()
            np.testing.assert_allclose(getattr(network[1], name), expected, rtol=1e-12, atol=1e-12)

    def test_a_shared_module(self):
        shared = torch.nn.Linear(FEATURES, FEATURES).double()
        module = torch.nn.Sequential(shared, torch.nn.Tanh(), shared)
        layer = Linear(FEATURES, FEATURES, dtype=np.float64)
        network = Network(layer, Tanh(), layer)
        load_state_dict(network, module.state_dict())
        assert_same_outputs(network, module, draw(9, FEATURES))

    def test_a_tensor_that_is_no_array_is_named(self):
        network = Network(Linear(2, 1))
        state = {"0.weight": torch.ones(1, 2, requires_grad=True), "0.bias": torch.ones(1)}
        with pytest.raises(InputError, match=r"0\.weight cannot become an array: .*requires grad"):
            load_state_dict(network, state)
        state["0.weight"] = torch.ones(1, 2, dtype=torch.bfloat16)
        with pytest.raises(InputError, match=r"0\.weight cannot become an array: .*BFloat16"):
            load_state_dict(network, state)

    def test_a_module_is_not_its_state(self):
        with pytest.raises(InputError, match=r"module\.state_dict\(\), got Sequential"):
            load_state_dict(every_kind(), every_kind_in_torch())
