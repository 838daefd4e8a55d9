"""Parameters are views of two flat vectors; their gradients are cleared without being written."""

import numpy as np
import pytest

from mlp import SGD, InputError, Linear, Network, ReLU
from mlp.parameter import Parameter, ParameterVector


def make_vector(*shapes: tuple[int, ...], dtype=np.float64) -> ParameterVector:
    """Parameters that hold 0, 1, 2, ... in the order of the vector."""
    values = np.arange(sum(int(np.prod(s)) for s in shapes), dtype=dtype)
    parts = np.split(values, np.cumsum([int(np.prod(s)) for s in shapes])[:-1])
    return ParameterVector(
        Parameter(part.reshape(shape), f"p{i}") for i, (part, shape) in enumerate(zip(parts, shapes, strict=True))
    )


class TestParameter:
    def test_starts_with_a_gradient_of_zeros(self):
        p = Parameter(np.ones((2, 3), np.float32))
        assert (p.shape, p.size, p.dtype) == ((2, 3), 6, np.float32)
        np.testing.assert_array_equal(p.grad, np.zeros((2, 3), np.float32), strict=True)

    def test_assigning_data_copies_into_the_same_memory(self):
        p = Parameter(np.zeros(2))
        place, values = p.data, np.array([1.0, 2.0])
        p.data = values
        values[...] = 7
        assert p.data is place
        assert p.data.tolist() == [1, 2]

    @pytest.mark.parametrize("shape", [(3,), (2, 1), (1, 2), ()])
    def test_data_of_another_shape_is_refused(self, shape):
        p = Parameter(np.zeros(2), "bias")
        with pytest.raises(InputError) as error:
            p.data = np.ones(shape)
        assert str(error.value) == f"parameter bias has shape (2,), cannot take values of shape {shape}"
        assert p.data.tolist() == [0, 0]

    def test_data_and_grad_take_augmented_assignment(self):
        """What a student writes in a backward: ``self.weight.grad += x.T @ dy``."""
        p = Parameter(np.zeros(2))
        data, grad = p.data, p.grad
        p.data += 1
        p.grad += 2
        p.grad += 2
        assert (p.data is data, p.grad is grad) == (True, True)
        assert (data.tolist(), grad.tolist()) == ([1, 1], [4, 4])

    def test_a_cleared_gradient_reads_as_zeros(self):
        p = Parameter(np.zeros(2))
        p.grad[...] = 5
        p.zero_grad()
        assert p.grad.tolist() == [0, 0]
        p.grad[...] += 3
        assert p.grad.tolist() == [3, 3]

    @pytest.mark.parametrize(
        ("how", "arguments"),
        [
            ("add", [[10, 20]]),
            ("add_product", [[1, 2, 3], [[0, 0], [5, 1], [0, 6]]]),
            ("add_sum", [[[1, 2], [9, 18]]]),
        ],
    )
    def test_what_is_added_first_after_clearing_overwrites(self, how, arguments):
        p = Parameter(np.zeros(2))
        arrays = [np.array(a, float) for a in arguments]
        for _ in range(2):
            p.zero_grad()
            for total in ([10, 20], [20, 40]):
                getattr(p, how)(*arrays)
                assert p.grad.tolist() == total
        assert [a.tolist() for a in arrays] == arguments

    def test_looking_at_other_memory_copies_nothing(self):
        p = Parameter(np.ones(2))
        data, grad = np.array([3.0, 4.0]), np.array([5.0, 6.0])
        p.look_at(data=data)
        assert p.data is data
        np.testing.assert_array_equal(p.grad, 0)
        p.look_at(grad=grad)
        assert p.data is data
        np.testing.assert_array_equal(p.grad, [5, 6])
        p.zero_grad()
        p.add(np.array([7.0, 8.0]))
        np.testing.assert_array_equal(grad, [7, 8])


class TestParameterVector:
    def test_parameters_are_views_in_order(self):
        vector = make_vector((2, 3), (3,), ())
        assert vector.size == 10
        assert vector.data.tolist() == list(range(10))
        vector.data[...] = 5
        vector.grad[...] = 6
        for p in vector:
            assert (p.data == 5).all()
            assert (p.grad == 6).all()
            assert np.shares_memory(p.data, vector.data)
            assert np.shares_memory(p.grad, vector.grad)
        vector["p1"].data = [7, 8, 9]
        assert vector.data[6:9].tolist() == [7, 8, 9]

    def test_gradients_move_along(self):
        p = Parameter(np.zeros(3))
        p.grad[...] = 4
        assert ParameterVector([p]).grad.tolist() == [4, 4, 4]

    def test_clearing_and_reading_the_whole_vector(self):
        vector = make_vector((2,), (2,))
        vector.grad[...] = 1
        vector.zero_grad()
        vector["p1"].add(np.full(2, 3.0))
        assert vector.grad.tolist() == [0, 0, 3, 3]

    def test_a_shared_parameter_is_stored_once(self):
        shared, other = Parameter(np.ones(3), "shared"), Parameter(np.ones(2), "other")
        vector = ParameterVector([shared, other, shared])
        assert (len(vector), vector.size) == (2, 5)

    def test_finds_by_name(self):
        vector = make_vector((2,), (3,))
        assert vector["p1"].shape == (3,)
        with pytest.raises(KeyError, match=r"no parameter 'p2'; there are: p0, p1"):
            vector["p2"]

    def test_dtype_is_the_common_one_or_the_one_asked_for(self):
        mixed = [Parameter(np.ones(1, np.float32)), Parameter(np.ones(1, np.float64))]
        with pytest.raises(InputError, match="differ in dtype: float32, float64"):
            ParameterVector(mixed)
        vector = ParameterVector(mixed, np.dtype(np.float64))
        assert {vector.dtype, vector.data.dtype, *(p.dtype for p in vector)} == {np.dtype(np.float64)}

    def test_refuses_nothing_and_what_belongs_to_another(self):
        with pytest.raises(InputError, match="no parameters"):
            ParameterVector([])
        vector = make_vector((2,))
        with pytest.raises(InputError, match="'p0' belongs to another network"):
            ParameterVector(vector)
        assert ParameterVector.of(vector) is vector


OPTIONS = [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"momentum": 0.9, "dampening": 0.9}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_padding_stays_zero_through_steps(options):
    vector = make_vector((3,), (2, 2), dtype=np.float32)
    optimizer = SGD(vector, lr=0.1, weight_decay=0.01, **options)
    assert vector.length > vector.size
    for _ in range(4):
        vector.grad[...] = 1
        optimizer.step()
    assert vector.rows[:, : vector.size].any(axis=1).all()
    assert not vector.rows[:, vector.size :].any()


def test_an_optimizer_sees_zeros_where_no_backward_pass_came():
    vector = make_vector((2,), (2,))
    optimizer = SGD(vector, lr=1)
    vector.grad[...] = 100
    vector.zero_grad()
    vector["p0"].add(np.ones(2))
    optimizer.step()
    # p0 = (0, 1) moves by -1; p1 = (2, 3) stays, whatever its memory held.
    assert vector.data.tolist() == [-1, 0, 2, 3]


class TestSharedByTwoLayers:
    @pytest.fixture
    def network(self):
        first, last = Linear(3, 3, bias=False, dtype=np.float64), Linear(3, 3, dtype=np.float64)
        last.weight = first.weight
        return Network(first, ReLU(), last, rng=0)

    def test_is_counted_once(self, network):
        # 9 weights for both layers, 3 biases.
        assert network.parameters.size == 12
        assert sum(v.size for v in network.state_dict().values()) == 12

    def test_gradients_of_both_uses_add_up(self, network):
        """The derivative along W -> (1 + t) W, by differences: it sees both uses of W."""
        x, upstream = np.random.default_rng(0).normal(size=(2, 4, 3))
        network.forward(x)
        network.backward(upstream)
        shared, bias = network[0].weight, network[2].bias
        analytic = np.vdot(shared.grad, shared.data)
        start, h = shared.data.copy(), 1e-6

        def value(t: float) -> float:
            shared.data = (1 + t) * start
            return float(np.vdot(upstream, network.forward(x)))

        assert analytic == pytest.approx((value(h) - value(-h)) / (2 * h), rel=1e-8)
        np.testing.assert_allclose(bias.grad, upstream.sum(axis=0), rtol=1e-14)

    def test_stays_shared_in_another_dtype(self, network):
        twin = network.astype(np.float32)
        assert twin.parameters.size == 12
        assert twin[0].weight is twin[2].weight
