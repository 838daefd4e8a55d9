"""What every communicator promises, on 1 to 4 ranks that are threads and on the one that is alone."""

import functools
import math

import numpy as np
import pytest
from exercise import DTYPES, SHAPES, draw, exercise
from hypothesis import given, settings
from hypothesis import strategies as st

from mlp import InputError
from mlp.parallel import CommunicatorError, SerialCommunicator, run_threads, slice_sizes, slices
from mlp.parallel.slicing import BLOCK, reduce_in_rank_order

RANKS = [1, 2, 3, 4]
each_size = pytest.mark.parametrize("size", RANKS)
property_test = settings(deadline=None, max_examples=50, derandomize=True)


def same(actual, expected) -> None:
    np.testing.assert_array_equal(actual, expected, strict=True)


def in_order(operation, arrays):
    return functools.reduce(operation, arrays)


@pytest.fixture(scope="module", params=["alone", *RANKS])
def run(request) -> list[dict[str, np.ndarray]]:
    """The results of every rank."""
    with np.errstate(over="ignore"):
        if request.param == "alone":
            return [exercise(SerialCommunicator())]
        return run_threads(exercise, request.param)


class TestResults:
    """Against NumPy, on the arrays of all ranks at once."""

    @pytest.mark.parametrize("shape", SHAPES, ids=str)
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_collectives(self, run, dtype, shape):
        size, name = len(run), f"{dtype} {shape}"
        arrays = [draw(rank, shape, dtype) for rank in range(size)]
        with np.errstate(over="ignore"):
            total = np.asarray(in_order(np.add, arrays))
        for rank, results in enumerate(run):
            same(results[f"sum {name}"], total)
            same(results[f"sum in place {name}"], total)
            same(results[f"max {name}"], np.asarray(in_order(np.maximum, arrays)))
            same(results[f"broadcast {name}"], arrays[-1])
            if shape:
                same(results[f"scatter {name}"], np.array_split(total, size)[rank])
                rows = [draw(r, (r + shape[0] % 3, *shape[1:]), dtype) for r in range(size)]
                same(results[f"gather {name}"], np.concatenate(rows))

    def test_several_under_way(self, run):
        for i, n in enumerate((10, 50_000, 7, 30_000)):
            total = in_order(np.add, [draw(rank, (n,), "float32", seed=1) for rank in range(len(run))])
            for results in run:
                same(results[f"bucket {i}"], total)

    def test_messages(self, run):
        size = len(run)
        for rank, results in enumerate(run):
            for tag in (0, 7):
                left = draw((rank - 1) % size, (100, 1000), "float32", seed=tag)
                same(results[f"message {tag} from left"], left)
                same(results[f"message {tag} from right"], draw((rank + 1) % size, (3,), "float64", seed=tag))

    def test_groups(self, run):
        size = len(run)
        for rank, results in enumerate(run):
            row = [float(r) for r in range(size) if r // 2 == rank // 2]
            column = [float(r) for r in range(size) if r % 2 == rank % 2]
            same(results["row"], np.array(row))
            same(results["column"], np.array(column))
            same(results["row of column"], np.array([sum(column)]))
            same(results["back"], np.arange(size)[::-1].astype(float))
            ranks = [row.index(rank), len(row), column.index(rank), len(column), size - 1 - rank, size]
            same(results["group ranks"], np.array(ranks))
            # A ring of n gathers 8 n bytes and sends (n - 1)/n of them.
            same(results["group bytes"], np.array([8.0 * (len(row) - 1), 8.0 * (len(column) - 1)]))

    def test_counts(self, run):
        """Payload in bytes, and what a rank of a ring sends of it."""
        size = len(run)
        items = {dtype: np.dtype(dtype).itemsize for dtype in DTYPES}
        per_dtype = sum(math.prod(shape) for shape in SHAPES)
        # 7 x 5 numbers in float64 by two layers; the buckets, with the one between.
        by_layers, buckets = 2 * 35 * 8, 4 * (10 + 50_000 + 7 + 30_000 + 10)
        for results in run:
            calls, payload, wire = results["count all_reduce"]
            assert calls == 3 * len(SHAPES) * len(DTYPES) + 5 + 2
            assert payload == 3 * per_dtype * sum(items.values()) + buckets + by_layers
            assert wire == pytest.approx(2 * (size - 1) / size * payload, rel=1e-15)
            calls, payload, wire = results["count broadcast"]
            assert (calls, payload) == (len(SHAPES) * len(DTYPES), per_dtype * sum(items.values()))
            assert wire == pytest.approx((size - 1) / size * payload, rel=1e-15)
            # A message of 400,000 and one of 24 bytes, twice.
            same(results["count send"], np.array([4.0, 800_048, 800_048]))
            same(results["count receive"], np.array([4.0, 800_048, 0]))
            same(results["count barrier"], np.array([1.0, 0, 0]))


class TestCounts:
    def test_worked_numbers(self):
        """1000 numbers of 4 bytes on 4 ranks: 2 · 3/4 · 4000 = 6000 bytes for an all-reduce, else half of it."""

        def program(communicator):
            x = np.ones(1000, np.float32)
            communicator.all_reduce(x)
            communicator.start_all_reduce(x).wait()
            communicator.all_gather(x[:250], sizes=[250] * 4)
            communicator.reduce_scatter(x)
            communicator.broadcast(x)
            communicator.barrier()
            return communicator.counts

        for counts in run_threads(program, 4):
            assert {name: (c.calls, c.payload_bytes, c.wire_bytes) for name, c in counts.items()} == {
                "all_reduce": (2, 8000, 12000),
                "all_gather": (1, 4000, 3000),
                "reduce_scatter": (1, 4000, 3000),
                "broadcast": (1, 4000, 3000),
                "barrier": (1, 0, 0),
            }
            assert counts.wire_bytes == 21000
            assert counts["send"].calls == 0
            assert "send" not in counts
            assert "12,000" in str(counts)
            counts.clear()
            assert counts.wire_bytes == 0

    def test_asking_for_lengths_is_counted_apart(self):
        def program(communicator):
            communicator.all_gather(np.ones((communicator.rank, 2)))
            return communicator.counts

        for counts in run_threads(program, 3):
            assert counts["gather_lengths"].payload_bytes == 3 * 8
            assert counts["all_gather"].payload_bytes == (0 + 1 + 2) * 2 * 8


class TestMemory:
    @each_size
    def test_arguments_are_left_alone_and_results_are_the_callers(self, size):
        def program(communicator):
            x = draw(communicator.rank, (40_000,), "float32")
            x.flags.writeable = False
            kept = x.copy()
            results = [communicator.all_reduce(x), communicator.all_gather(x), communicator.reduce_scatter(x)]
            copies = [r.copy() for r in results]
            same(x, kept)
            for r in results:
                assert not np.may_share_memory(r, x)
            communicator.all_reduce(-x)
            communicator.all_gather(-x)
            for r, copy in zip(results, copies, strict=True):
                same(r, copy)

        run_threads(program, size)

    @each_size
    def test_out_may_be_the_slice_that_an_argument_is(self, size):
        """As when each rank updates its slice of the parameters: gradients in, parameters out, no copies."""

        def program(communicator):
            rank = communicator.rank
            grad = draw(rank, (30_001,), "float64")
            mine = slices(slice_sizes(grad.size, size))[rank]
            total = in_order(np.add, [draw(r, (30_001,), "float64") for r in range(size)])
            result = communicator.reduce_scatter(grad, out=grad[mine])
            same(grad[mine], total[mine])
            assert np.shares_memory(result, grad)
            communicator.all_gather(grad[mine], out=grad, sizes=slice_sizes(grad.size, size))
            same(grad, total)

        run_threads(program, size)

    @each_size
    def test_arrays_that_lie_otherwise_in_memory(self, size):
        def program(communicator):
            x = draw(communicator.rank, (6, 8), "float64")
            same(communicator.all_reduce(x.T), np.ascontiguousarray(communicator.all_reduce(x).T))
            same(communicator.all_gather(x[::2, ::3]), communicator.all_gather(x)[::2, ::3])
            same(communicator.reduce_scatter(x.T[::-1]), communicator.reduce_scatter(x.T[::-1].copy()))

        run_threads(program, size)


class TestProperties:
    @property_test
    @given(st.integers(0, 50), st.integers(1, 9))
    def test_slices_are_even_and_complete(self, length, ranks):
        sizes = slice_sizes(length, ranks)
        assert (len(sizes), sum(sizes)) == (ranks, length)
        assert max(sizes) - min(sizes) <= 1
        assert list(sizes) == sorted(sizes, reverse=True)
        rows = np.arange(length)
        same(np.concatenate([rows[part] for part in slices(sizes)]), rows)

    @property_test
    @given(st.lists(st.integers(0, 5), min_size=1, max_size=4), st.booleans())
    def test_uneven_slices(self, sizes, ask):
        """reduce_scatter and all_gather of any slices are together an all-reduce."""

        def program(communicator):
            rank = communicator.rank
            x = draw(rank, (sum(sizes), 2), "float64")
            mine = communicator.reduce_scatter(x, sizes=sizes)
            assert mine.shape == (sizes[rank], 2)
            same(communicator.all_gather(mine, sizes=None if ask else sizes), communicator.all_reduce(x))

        run_threads(program, len(sizes))

    @property_test
    @given(st.integers(1, 5), st.sampled_from([1, 7, BLOCK - 1, BLOCK, 2 * BLOCK + 3]), st.integers(0, 4))
    def test_sums_in_the_order_of_ranks(self, ranks, length, where):
        """Also if the result goes where one of the arrays was."""
        pieces = [draw(rank, (length,), "float32") for rank in range(ranks)]
        expected = in_order(np.add, [p.copy() for p in pieces])
        out = pieces[where % ranks]
        other = np.empty_like(out)
        reduce_in_rank_order(np.add, pieces, [out, other])
        same(out, expected)
        same(other, expected)

    def test_the_order_matters(self):
        """In float32 1e8 + 1 = 1e8: (1e8 + 1) - 1e8 = 0, but (1e8 - 1e8) + 1 = 1."""

        def program(communicator, values):
            return communicator.all_reduce(np.float32(values[communicator.rank]))

        assert run_threads(program, 3, [1e8, 1, -1e8]) == [0, 0, 0]
        assert run_threads(program, 3, [1e8, -1e8, 1]) == [1, 1, 1]


class TestRefusals:
    """One rank alone refuses them, so no rank has to wait for it."""

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda c: c.all_reduce(np.ones(3), "mean"), "op must be one of 'sum', 'max', got 'mean'"),
            (lambda c: c.all_reduce(np.array(["a"])), "floats or integers is needed, got <U1"),
            (lambda c: c.all_reduce(np.ones(3) > 0), "floats or integers is needed, got bool"),
            (lambda c: c.all_reduce(np.ones(3, ">f4")), "floats or integers is needed, got >f4"),
            (lambda c: c.all_reduce(np.ones(3), out=np.ones(4)), r"float64 \(3,\), got float64 \(4,\)"),
            (lambda c: c.all_reduce(np.ones(3), out=np.ones(3, "f4")), r"float64 \(3,\), got float32 \(3,\)"),
            (lambda c: c.all_reduce(np.ones(3), out=np.ones(6)[::2]), "contiguous memory"),
            (lambda c: c.all_reduce(np.ones(3), out=[1, 2, 3]), "got list"),
            (lambda c: c.all_gather(np.float64(1)), r"an array with rows is needed, got shape \(\)"),
            (lambda c: c.all_gather(np.ones(3), sizes=[2, 4]), "sizes must be 1 numbers of rows"),
            (lambda c: c.all_gather(np.ones(3), sizes=[2]), "give rank 0 other than its 3 rows"),
            (lambda c: c.reduce_scatter(np.ones(3), sizes=[2]), "are those of 2 rows, got 3"),
            (lambda c: c.reduce_scatter(np.ones(3), sizes=[-3]), "integer of at least 0, got -3"),
            (lambda c: c.broadcast(np.ones(3), root=1), "root must be a rank from 0 to 0, got 1"),
            (lambda c: c.broadcast([1.0]), "got list"),
            (lambda c: c.send(np.ones(3), to=-1), "to must be an integer of at least 0, got -1"),
            (lambda c: c.send(np.ones(3), to=0, tag=40_000), "tag must be an integer from 0 to 32767, got 40000"),
            (lambda c: c.receive(np.ones(3), source=2), "source must be a rank from 0 to 0, got 2"),
            (lambda c: c.split(-1), "colour must be an integer of at least 0"),
            (lambda c: slice_sizes(4, 0), "ranks must be an integer of at least 1"),
        ],
    )
    def test_arguments(self, call, message):
        with pytest.raises(InputError, match=message):
            call(SerialCommunicator())

    def test_nobody_is_there_to_send(self):
        with pytest.raises(CommunicatorError, match="receive from 0 with tag 3 of float64"):
            SerialCommunicator().receive(np.ones(1), source=0, tag=3)

    def test_abort(self):
        with pytest.raises(CommunicatorError, match="rank 0 of 1: enough"):
            SerialCommunicator().abort("enough")

    def test_repr_names_the_rank(self):
        assert run_threads(repr, 2) == ["ThreadCommunicator(rank 0 of 2)", "ThreadCommunicator(rank 1 of 2)"]
        assert repr(SerialCommunicator()) == "SerialCommunicator(rank 0 of 1)"
