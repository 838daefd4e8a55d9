"""Exported models, run by ONNX's own reference implementation, give the scores of the network."""

import sys

import numpy as np
import pytest

import mlp.layers
from mlp import InputError, Network
from mlp.bridges import onnx_export
from mlp.bridges.onnx_export import export_onnx, to_onnx
from mlp.bridges.onnx_graph import WRITERS, writes
from mlp.initializers import normal
from mlp.layers import (
    ELU,
    SELU,
    AlphaDropout,
    BatchNorm,
    Compressed,
    Container,
    Dropout,
    Elementwise,
    EmbeddedColumns,
    Embedding,
    GatedMlp,
    GeLU,
    Hardswish,
    Identity,
    Layer,
    LayerNorm,
    LeakyReLU,
    Linear,
    LogSoftmax,
    Mish,
    Mlp,
    PReLU,
    QuantizedLinear,
    Recompute,
    ReLU,
    ReLU6,
    Residual,
    RMSNorm,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)

onnx = pytest.importorskip("onnx", reason="onnx is the oracle of these tests and is not installed")
from onnx import numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

FEATURES, OUT = 5, 3


def linear(n_in: int = FEATURES, n_out: int = FEATURES, **options) -> Linear:
    return Linear(n_in, n_out, weight_init=normal(1.0), bias_init=normal(1.0), rng=n_in + n_out, **options)


def used(layer: Layer, seed: int = 0) -> Layer:
    """The layer with parameters and statistics that are not those it starts with."""
    rng = np.random.default_rng(seed)
    for values in (*(p.data for p in layer.parameters().values()), *layer.statistics().values()):
        values[...] = rng.uniform(0.1, 2, values.shape)
    return layer


def block(kind: type, **options) -> Layer:
    return kind(FEATURES, weight_init=normal(0.7), bias_init=normal(0.7), rng=1, **options)


# Each stands between two Linears with FEATURES features.
MIDDLE = {
    "Linear": lambda: linear(),
    "Linear without bias": lambda: linear(bias=False),
    "QuantizedLinear": lambda: QuantizedLinear.of(linear()),
    "QuantizedLinear without bias": lambda: QuantizedLinear.of(linear(bias=False)),
    "ReLU": ReLU,
    "LeakyReLU": lambda: LeakyReLU(0.3),
    "ReLU6": ReLU6,
    "ELU": ELU,
    "ELU, small": lambda: ELU(alpha=0.3),
    "Identity": Identity,
    "Sigmoid": Sigmoid,
    "Tanh": Tanh,
    "SiLU": SiLU,
    "Softplus": Softplus,
    "Softplus, sharp": lambda: Softplus(beta=3),
    "GeLU": GeLU,
    "GeLU, exact": lambda: GeLU(approximate="none"),
    "SELU": SELU,
    "PReLU": PReLU,
    "PReLU, one a feature": lambda: PReLU(FEATURES, 0.4),
    "Mish": Mish,
    "Hardswish": Hardswish,
    "AlphaDropout": lambda: AlphaDropout(0.5),
    "Softmax": Softmax,
    "LogSoftmax": LogSoftmax,
    "Dropout": lambda: Dropout(0.5),
    "BatchNorm": lambda: used(BatchNorm(FEATURES, eps=1e-3)),
    "BatchNorm, plain": lambda: used(BatchNorm(FEATURES, affine=False)),
    "LayerNorm": lambda: used(LayerNorm(FEATURES, eps=1e-3)),
    "LayerNorm without bias": lambda: used(LayerNorm(FEATURES, bias=False)),
    "LayerNorm, plain": lambda: LayerNorm(FEATURES, affine=False),
    "RMSNorm": lambda: used(RMSNorm(FEATURES, eps=1e-3)),
    "RMSNorm, plain": lambda: RMSNorm(FEATURES, affine=False),
    "Sequential": lambda: Sequential(linear(n_out=4), Tanh(), linear(4)),
    "Recompute": lambda: Recompute(linear(n_out=4), Tanh(), linear(4)),
    "Compressed": lambda: Compressed(linear(n_out=4), Tanh(), linear(4)),
    "Residual": lambda: Residual(linear(), GeLU()),
    "Residual of nothing": lambda: Residual(Dropout(0.5)),
    "Residual with shortcut": lambda: Residual(Tanh(), linear(), shortcut=linear(bias=False)),
    "Residual in Residual": lambda: Residual(Residual(linear(), Sigmoid()), linear(), Sigmoid()),
    "Mlp": lambda: block(Mlp),
    "Mlp without biases": lambda: block(Mlp, hidden_features=7, activation="ReLU", bias1=False, bias2=False),
    "GatedMlp": lambda: block(GatedMlp, multiple_of=8),
    "GatedMlp, SwiGLU": lambda: block(GatedMlp, activation="SiLU", bias1=False, bias2=False, multiple_of=1),
}  # fmt: skip


def run(network: Network, x: np.ndarray) -> np.ndarray:
    """The scores of the exported model, once ONNX's checker has nothing against it."""
    model = to_onnx(network)
    onnx.checker.check_model(model, full_check=True)
    (scores,) = ReferenceEvaluator(model).run(None, {"x": x})
    return scores


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).normal(size=shape)


@pytest.mark.parametrize("name", MIDDLE)
def test_scores_are_those_of_the_network(name):
    for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 2e-5)):
        network = Network(linear(), MIDDLE[name](), linear(n_out=OUT)).astype(dtype)
        x = draw(11, FEATURES).astype(dtype)
        expected = network.scores(x)
        scores = run(network, x)
        assert scores.dtype == dtype
        np.testing.assert_allclose(scores, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_onnxruntime_gives_the_scores_of_the_network_also_for_large_inputs(dtype):
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is the oracle of this test")
    # From 0.001 to 1000: what overflows in a formula does so here.
    x = (draw(7, FEATURES) * np.array([[1, 5, 100, 1000, -1000, 0.001, 0]]).T).astype(dtype)
    tolerance = 1e-12 if dtype == np.float64 else 2e-5
    for name, make in MIDDLE.items():
        network = Network(linear(), make(), linear(n_out=OUT)).astype(dtype)
        session = runtime.InferenceSession(to_onnx(network).SerializeToString(), providers=["CPUExecutionProvider"])
        (scores,) = session.run(None, {"x": x})
        expected = network.scores(x)
        scale = 1 + abs(expected).max(axis=1, keepdims=True)
        np.testing.assert_allclose(scores / scale, expected / scale, atol=tolerance, rtol=0, err_msg=name)


def test_every_layer_is_exported_and_tried():
    public = [getattr(mlp.layers, name) for name in mlp.layers.__all__]
    layers = {kind for kind in public if isinstance(kind, type) and issubclass(kind, Layer)}
    assert layers - WRITERS.keys() == {Layer, Container, Elementwise}  # which compute nothing themselves
    tried = {type(layer) for make in MIDDLE.values() for layer in make().walk()}
    assert WRITERS.keys() - tried == {Embedding, EmbeddedColumns}  # in a test of their own


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_embedded_columns(dtype):
    columns = EmbeddedColumns(6, {0: Embedding(4, 3, rng=0), 3: Embedding(2, 1, rng=1), 4: Embedding(3, 2, rng=2)})
    network = Network(columns, linear(columns.out_features, OUT)).astype(dtype)
    x = draw(8, 6)
    x[:, [0, 3, 4]] = np.random.default_rng(0).integers(0, [4, 2, 3], (8, 3))
    x = x.astype(dtype)
    np.testing.assert_allclose(run(network, x), network.scores(x), rtol=1e-5, atol=1e-6)


def test_a_network_that_begins_with_an_embedding_takes_an_index_a_sample():
    network = Network(Dropout(0.5), Embedding(9, FEATURES, rng=0), linear(n_out=OUT))
    x = np.array([0, 8, 3, 3, 5], np.float32)
    scores = run(network, x)
    assert scores.shape == (5, OUT)
    np.testing.assert_allclose(scores, network.scores(x), rtol=1e-5, atol=1e-6)


def test_the_batch_has_any_length():
    network = Network(linear(), used(BatchNorm(FEATURES)), GeLU(), linear(n_out=OUT), dtype=np.float64)
    evaluator = ReferenceEvaluator(to_onnx(network))
    x = draw(9, FEATURES)
    for count in (1, 2, 9):
        (scores,) = evaluator.run(None, {"x": x[:count]})
        np.testing.assert_allclose(scores, network.scores(x[:count]), rtol=1e-12, atol=1e-12)


def test_the_model_says_what_it_takes_and_gives():
    network = Network(linear(), Dropout(0.5), linear(n_out=OUT), Dropout(0.2))
    model = to_onnx(network)
    shapes = [
        (value.name, [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim])
        for value in (*model.graph.input, *model.graph.output)
    ]
    assert shapes == [("x", ["batch", FEATURES]), ("scores", ["batch", OUT])]
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert weights.keys() == network.state_dict().keys()
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(weights[name], array, strict=True)


def test_a_shared_layer_is_stored_once():
    shared = linear()
    network = Network(shared, Tanh(), shared, Tanh(), linear(n_out=OUT), dtype=np.float64)
    assert len(to_onnx(network).graph.initializer) == 4
    x = draw(4, FEATURES)
    np.testing.assert_allclose(run(network, x), network.scores(x), rtol=1e-12, atol=1e-12)


def test_a_network_in_training_is_exported_for_use_and_stays_in_training():
    network = Network(linear(), used(BatchNorm(FEATURES)), Dropout(0.5), linear(n_out=OUT), dtype=np.float64)
    before = network.state_dict()
    x = draw(4, FEATURES)
    np.testing.assert_allclose(run(network.train(), x), network.scores(x), rtol=1e-12, atol=1e-12)
    assert network.training
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(array, before[name], strict=True)


class TestFile:
    def test_it_can_be_read(self, tmp_path):
        network = Network(linear(), Softplus(), linear(n_out=OUT))
        export_onnx(network, tmp_path / "network.onnx")
        onnx.checker.check_model(tmp_path / "network.onnx", full_check=True)
        x = draw(4, FEATURES).astype(np.float32)
        (scores,) = ReferenceEvaluator(str(tmp_path / "network.onnx")).run(None, {"x": x})
        np.testing.assert_allclose(scores, network.scores(x), rtol=1e-5, atol=1e-5)

    def test_the_same_network_gives_the_same_file(self, tmp_path):
        files = [tmp_path / "a.onnx", tmp_path / "b.onnx"]
        for file in files:
            export_onnx(Network(block(GatedMlp), used(BatchNorm(FEATURES))), file)
        assert files[0].read_bytes() == files[1].read_bytes()

    def test_what_cannot_be_exported_leaves_the_old_file(self, tmp_path):
        file = tmp_path / "network.onnx"
        file.write_text("old")
        with pytest.raises(InputError, match="cannot be exported"):
            export_onnx(Network(linear(), Cube()), file)
        assert [path.name for path in tmp_path.iterdir()] == ["network.onnx"]
        assert file.read_text() == "old"

    def test_a_folder_that_is_not_there_is_named(self, tmp_path):
        with pytest.raises(InputError, match="missing"):
            export_onnx(Network(linear()), tmp_path / "missing" / "network.onnx")


class Cube(Layer):
    """y = x³: no layer of the library."""

    def forward(self, x):
        return x**3


class LouderLinear(Linear):
    """Something else than what it inherits from."""

    def forward(self, x):
        return 2 * super().forward(x)


class TestRefusals:
    def test_an_unknown_layer_is_named_with_its_place(self):
        with pytest.raises(InputError, match=r"layer 1\.body\.0 Cube\(\) cannot be exported; .*Linear"):
            to_onnx(Network(linear(), Residual(Cube())))

    def test_a_subclass_is_not_taken_for_its_base(self):
        with pytest.raises(InputError, match=r"layer 0 Linear\(5, 3\) cannot be exported"):
            to_onnx(Network(LouderLinear(FEATURES, OUT)))

    def test_a_layer_of_ones_own_can_be_added(self, monkeypatch):
        monkeypatch.setattr(onnx_export, "WRITERS", dict(WRITERS))

        def write_cube(graph, layer, x):
            return graph.add("Mul", x, graph.add("Mul", x, x))

        onnx_export.WRITERS[Cube] = write_cube
        network = Network(linear(), Cube(), dtype=np.float64)
        x = draw(4, FEATURES)
        np.testing.assert_allclose(run(network, x), network.scores(x), rtol=1e-12, atol=1e-12)

    def test_writes_registers_a_function(self, monkeypatch):
        monkeypatch.setattr("mlp.bridges.onnx_graph.WRITERS", {})

        def write(graph, layer, x):
            return x

        assert writes(Cube)(write) is write
        assert {Cube: write} == mlp.bridges.onnx_graph.WRITERS

    def test_a_network_too_large_for_the_format(self, monkeypatch):
        monkeypatch.setattr(onnx_export, "MAX_BYTES", 100)
        # 5·5 + 5 numbers of 4 bytes
        with pytest.raises(InputError, match="the network has 120 bytes"):
            to_onnx(Network(linear()))

    def test_without_onnx_it_says_what_to_install(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "onnx", None)
        with pytest.raises(InputError, match="pip install onnx"):
            to_onnx(Network(linear()))
