"""One table of cases, one contract: what every optimizer owes its callers, whatever its mathematics.

A new optimizer or option needs one more line in the table; the tests of completeness fail until it is there.
"""

import inspect
import tracemalloc

import numpy as np
import pytest

from mlp import InputError
from mlp.optim import OPTIMIZERS, Optimizer, make_optimizer, register_optimizer
from mlp.parameter import Parameter, ParameterVector
from mlp.registry import Registry

CASES = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9, "weight_decay": 0.01}),
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("SGD", {"momentum": 0.7, "dampening": 0.7}),
    ("AdaGrad", {}),
    ("AdaGrad", {"eps": 1e-3, "weight_decay": 0.01}),
    ("RMSProp", {}),
    ("RMSProp", {"alpha": 0.9, "eps": 1e-3, "weight_decay": 0.01}),
    ("RMSProp", {"momentum": 0.9}),
    ("RMSProp", {"centered": True}),
    ("RMSProp", {"momentum": 0.9, "centered": True}),
    ("Adam", {}),
    ("Adam", {"betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.01}),
    ("Adam", {"amsgrad": True}),
    ("AdamW", {}),
    ("AdamW", {"betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1, "amsgrad": True}),
    ("NAdam", {}),
    ("NAdam", {"betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.01, "momentum_decay": 0.1}),
    ("RAdam", {}),
    ("RAdam", {"betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.01}),
    ("Lion", {}),
    ("Lion", {"betas": (0.8, 0.9), "weight_decay": 0.1}),
]
each_case = pytest.mark.parametrize(("name", "options"), CASES, ids=lambda v: str(v))
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
SHAPES = [(13, 7), (7,), (7, 3)]


def make_vector(shapes=SHAPES, dtype=np.float64, seed=1) -> ParameterVector:
    rng = np.random.default_rng(seed)
    return ParameterVector(Parameter(rng.normal(size=s).astype(dtype), f"p{i}") for i, s in enumerate(shapes))


def run(optimizer: Optimizer, gradients, lrs=None) -> None:
    for i, g in enumerate(gradients):
        if lrs is not None:
            optimizer.lr = lrs[i]
        optimizer.parameters.grad[...] = g
        optimizer.step()


def draw_gradients(steps: int, vector: ParameterVector) -> np.ndarray:
    return np.random.default_rng(2).normal(size=(steps, vector.size)).astype(vector.dtype)


@each_case
class TestContract:
    @pytest.mark.parametrize("block", [16, 2**18])
    def test_every_entry_is_treated_as_if_it_were_alone(self, name, options, block, monkeypatch):
        monkeypatch.setattr("mlp.optim.base.BLOCK", block)
        vector = make_vector()
        start, gradients = vector.data.copy(), draw_gradients(6, vector)
        run(make_optimizer(name, vector, lr=0.1, **options), gradients)
        for i in (0, 50, vector.size - 1):
            alone = ParameterVector([Parameter(start[i : i + 1].copy())])
            run(make_optimizer(name, alone, lr=0.1, **options), gradients[:, i])
            assert vector.data[i] == pytest.approx(alone.data[0], rel=1e-13, abs=0)

    @each_dtype
    def test_a_step_changes_values_only_and_keeps_dtype_memory_and_gradients(self, name, options, dtype):
        vector = make_vector(dtype=dtype)
        optimizer = make_optimizer(name, vector, **options)
        places = [(p.data.ctypes.data, p.grad.ctypes.data) for p in vector]
        before, rows = vector.data.copy(), vector.rows
        for g in draw_gradients(3, vector):
            run(optimizer, [g])
            np.testing.assert_array_equal(vector.grad, g)
        assert vector.rows is rows
        assert [(p.data.ctypes.data, p.grad.ctypes.data) for p in vector] == places
        assert {vector.data.dtype, *(p.data.dtype for p in vector)} == {np.dtype(dtype)}
        assert (vector.data != before).all()
        assert (rows[:, vector.size :] == 0).all()

    @pytest.mark.parametrize("stop", [1, 4])
    def test_a_run_that_was_stopped_continues_bit_for_bit(self, name, options, stop):
        gradients = draw_gradients(9, make_vector(dtype=np.float32))
        lrs = np.linspace(0.1, 0.02, 9)

        whole = make_optimizer(name, make_vector(dtype=np.float32), lr=lrs[0], **options)
        run(whole, gradients, lrs)
        first = make_optimizer(name, make_vector(dtype=np.float32), lr=lrs[0], **options)
        run(first, gradients[:stop], lrs)
        second = make_optimizer(name, make_vector(dtype=np.float32, seed=5), lr=0.5, **options)
        second.parameters.data[...] = first.parameters.data
        second.load_state_dict(first.state_dict())
        run(second, gradients[stop:], lrs[stop:])
        np.testing.assert_array_equal(second.parameters.data, whole.parameters.data)
        for key, array in whole.state_dict().items():
            np.testing.assert_array_equal(second.state_dict()[key], array, strict=True)

    def test_the_state_is_a_copy(self, name, options):
        optimizer, other = (make_optimizer(name, make_vector(), **options) for _ in range(2))
        gradients = draw_gradients(4, optimizer.parameters)
        run(optimizer, gradients[:2])
        run(other, gradients[:2])
        for array in optimizer.state_dict().values():
            array[...] = 9
        run(optimizer, gradients[2:])
        run(other, gradients[2:])
        np.testing.assert_array_equal(optimizer.parameters.data, other.parameters.data)

    def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(self, name, options):
        optimizer = make_optimizer(name, make_vector(), **options)
        run(optimizer, draw_gradients(2, optimizer.parameters))
        kept = optimizer.state_dict()
        smaller = make_optimizer(name, make_vector([(3, 2)]), **options).state_dict()
        for state in (smaller, {}, {**kept, "more": np.zeros(1)}, dict(list(kept.items())[:-1])):
            with pytest.raises(InputError, match=f"^{name}: a state with .* is needed, got"):
                optimizer.load_state_dict(state)
        for key, array in optimizer.state_dict().items():
            np.testing.assert_array_equal(array, kept[key])

    def test_learning_rate_zero_moves_nothing_but_is_remembered(self, name, options):
        vector = make_vector()
        before = vector.data.copy()
        optimizer = make_optimizer(name, vector, lr=0, **options)
        run(optimizer, draw_gradients(2, vector))
        np.testing.assert_array_equal(vector.data, before)

    def test_parameters_that_no_backward_pass_reached_have_gradient_zero(self, name, options):
        vectors = [make_vector(), make_vector()]
        for vector, fill in zip(vectors, (0.0, None), strict=True):
            optimizer = make_optimizer(name, vector, **options)
            run(optimizer, draw_gradients(2, vector))
            vector.zero_grad()
            if fill is not None:
                vector.grad[...] = fill
            vector["p1"].accumulate(np.multiply, np.ones(7), np.full(7, 3.0))
            optimizer.step()
        np.testing.assert_array_equal(vectors[0].data, vectors[1].data)

    def test_a_shared_parameter_is_moved_once(self, name, options):
        shared = Parameter(np.array([1.0, 2.0]))
        twice = ParameterVector([shared, Parameter(np.array([3.0])), shared])
        once = ParameterVector([Parameter(np.array([1.0, 2.0, 3.0]))])
        for vector in (twice, once):
            run(make_optimizer(name, vector, **options), [[1, -1, 2], [0.5, 1, 1]])
        np.testing.assert_array_equal(twice.data, once.data)

    def test_a_second_optimizer_starts_anew(self, name, options):
        vector = make_vector()
        g = draw_gradients(2, vector)
        run(make_optimizer("Adam", vector), g)
        start = vector.data.copy()
        run(make_optimizer(name, vector, **options), g)
        fresh = make_vector()
        fresh.data[...] = start
        run(make_optimizer(name, fresh, **options), g)
        np.testing.assert_array_equal(vector.data, fresh.data)

    @each_dtype
    def test_a_step_asks_for_no_memory(self, name, options, dtype):
        vector = make_vector([(300, 400)], dtype)
        optimizer = make_optimizer(name, vector, **options)
        run(optimizer, draw_gradients(2, vector))
        tracemalloc.start()
        try:
            optimizer.step()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 20_000 < vector.data.nbytes / 20

    def test_float32_follows_float64(self, name, options):
        single, double = make_vector(dtype=np.float32), make_vector()
        gradients = draw_gradients(30, single)
        for vector in (single, double):
            run(make_optimizer(name, vector, **options), gradients)
        np.testing.assert_allclose(single.data, double.data, rtol=2e-5, atol=2e-5)

    def test_repr_can_be_read_back(self, name, options):
        vector = make_vector()
        text = repr(make_optimizer(name, vector, lr=0.125, **options))
        assert text.startswith(f"{name}(lr=0.125")
        inside = text.removeprefix(f"{name}(").removesuffix(")")
        again = make_optimizer(name, vector, **eval(f"dict({inside})"))
        assert repr(again) == text
        assert {key: getattr(again, key) for key in options} == options

    @pytest.mark.parametrize("lr", [-0.1, np.nan, np.inf, "fast", None, True])
    def test_refuses_a_learning_rate(self, name, options, lr):
        with pytest.raises(InputError, match=f"^{name}: lr must be a finite number >= 0, got {lr!r}$"):
            make_optimizer(name, make_vector(), lr=lr, **options)
        optimizer = make_optimizer(name, make_vector(), **options)
        with pytest.raises(InputError, match=f"{name}: lr"):
            optimizer.lr = lr

    def test_refuses_what_are_no_parameters(self, name, options):
        with pytest.raises(InputError, match="no parameters"):
            make_optimizer(name, [], **options)
        with pytest.raises(InputError, match="parameters must be those of a network"):
            make_optimizer(name, [np.ones(3)], **options)


def test_every_optimizer_and_option_has_a_case():
    assert {name for name, _ in CASES} == OPTIMIZERS.keys()
    for name, optimizer in OPTIMIZERS.items():
        arguments = inspect.signature(optimizer).parameters.keys() - {"parameters", "lr"}
        assert arguments == {option for n, options in CASES for option in options if n == name}


class TestRegistry:
    @pytest.mark.parametrize("name", ["Adam", "adam", "ADAM"])
    def test_upper_and_lower_case_are_one(self, name):
        assert repr(make_optimizer(name, make_vector(), lr=0.5)) == "Adam(lr=0.5)"

    def test_an_unknown_name(self):
        with pytest.raises(InputError) as error:
            make_optimizer("Adams", make_vector())
        assert str(error.value) == (
            "unknown optimizer 'Adams'; did you mean Adam? There are: AdaGrad, Adam, AdamW, Lion, NAdam, RAdam, "
            "RMSProp, SGD"
        )  # fmt: skip

    def test_an_unknown_option(self):
        with pytest.raises(InputError) as error:
            make_optimizer("adagrad", make_vector(), momentum=0.9)
        assert str(error.value) == (
            "AdaGrad: got an unexpected keyword argument 'momentum'; options: lr, eps, weight_decay"
        )

    def test_a_new_one(self, monkeypatch):
        monkeypatch.setattr("mlp.optim.base.OPTIMIZERS", Registry("optimizer"))

        @register_optimizer("Sign")
        class Sign(Optimizer):
            """w ← w - η sign(g)."""

            def __init__(self, parameters, lr=1.0):
                super().__init__(parameters, lr)

            def step(self):
                self.parameters.data[...] -= self.lr * np.sign(self.parameters.grad)

            def state(self):
                return {}

        vector = ParameterVector([Parameter(np.array([1.0, 2.0]))])
        run(make_optimizer("sign", vector, lr=0.5), [[3, -4], [3, 0]])
        assert vector.data.tolist() == [0, 2.5]

    def test_a_half_written_one_says_what_it_lacks(self):
        class Half(Optimizer):
            pass

        half = Half(make_vector(), lr=1)
        assert repr(half) == "Half(lr=1)"
        with pytest.raises(NotImplementedError, match="Half needs a step method"):
            half.step()
        with pytest.raises(NotImplementedError, match="Half needs a state method"):
            half.state_dict()
