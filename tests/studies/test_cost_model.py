"""The cost model: worked numbers, limits, and the bytes that real ranks send and hold."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlp import SGD, CrossEntropyLoss, InputError, Linear, Network, ReLU
from mlp.parallel import (
    DataParallel,
    ParallelMlp,
    Pipeline,
    SerialCommunicator,
    ShardedDataParallel,
    bytes_held,
    make_pipeline_schedule,
    run_threads,
    slice_batch,
)
from mlp.parallel.pipeline.timeline import simulate
from mlp.studies.cost.machine import Machine, amdahl_speed_up, slices_at_most
from mlp.studies.cost.measure import fit_line, measure_machine
from mlp.studies.cost.model import MODES, compare, fastest, predict, serial_share
from mlp.studies.cost.network import NetworkShape

SMALL = NetworkShape((784, 1024, 1024, 10))
EVEN = NetworkShape((64,) * 9)  # 8 layers, 4 pairs
REAL = Machine(6e10, latency=1e-5, bandwidth=2e9, memory_bandwidth=2e10, memory_bytes=8e9)
FREE = Machine(6e10, memory_bandwidth=2e10)  # messages take no time
IDEAL = Machine(6e10)  # nothing but arithmetic takes time
ONE_FLOP = Machine(1.0)  # seconds are operations
each_mode = pytest.mark.parametrize("mode", MODES)


class TestMachine:
    def test_ring(self):
        # N = 4, S = 8000 bytes, α = 1 s, β = 1000 bytes/s. Each step sends 8000 / 4 bytes: 1 + 2 = 3 s. There are 3
        # steps in a reduce-scatter and 6 in an all-reduce.
        machine = Machine(1.0, latency=1.0, bandwidth=1000.0)
        assert machine.reduce_scatter(8000, 4) == pytest.approx(9)
        assert machine.all_gather(8000, 4) == pytest.approx(9)
        assert machine.all_reduce(8000, 4) == pytest.approx(18)
        assert machine.send(8000) == pytest.approx(9)  # 1 + 8

    def test_halving(self):
        # Two steps of α, and of the bytes 4000 + 2000: 2 + 6 = 8 s; twice that for an all-reduce.
        machine = Machine(1.0, latency=1.0, bandwidth=1000.0, collectives="halving")
        assert machine.reduce_scatter(8000, 4) == pytest.approx(8)
        assert machine.all_reduce(8000, 4) == pytest.approx(16)

    @pytest.mark.parametrize("collectives", ["ring", "halving"])
    def test_one_rank_says_nothing(self, collectives):
        machine = Machine(1.0, latency=1.0, bandwidth=1.0, collectives=collectives)
        assert machine.all_reduce(1e6, 1) == machine.all_gather(1e6, 1) == machine.reduce_scatter(1e6, 1) == 0

    def test_messages_may_have_their_own_numbers(self):
        machine = Machine(1.0, latency=9.0, bandwidth=9.0, send_latency=2.0, send_bandwidth=10.0)
        assert machine.send(30) == pytest.approx(5)

    def test_product(self):
        # (2, 3) times (3, 5): 60 operations at 10 a second, 6 + 15 + 10 numbers of 4 bytes at 31 bytes a second.
        assert Machine(10.0, memory_bandwidth=31.0).product(2, 5, 3, 4) == pytest.approx(6 + 4)

    @pytest.mark.parametrize(
        "options",
        [
            {"flops": 0.0}, {"flops": -1.0}, {"flops": 1.0, "latency": -1.0}, {"flops": 1.0, "bandwidth": 0.0},
            {"flops": 1.0, "bandwidth": math.nan}, {"flops": 1.0, "send_latency": -1e-9},
            {"flops": 1.0, "memory_bytes": 0.0}, {"flops": 1.0, "collectives": "star"},
        ],
    )  # fmt: skip
    def test_refuses(self, options):
        with pytest.raises(InputError, match="Machine: "):
            Machine(**options)


class TestAmdahl:
    def test_his_numbers(self):
        # A tenth is serial: 1 / (0.1 + 0.9 / 9) = 5 with 9 ranks, and never 10.
        assert amdahl_speed_up(0.1, 9) == pytest.approx(5)
        assert amdahl_speed_up(0.1, math.inf) == pytest.approx(10)
        assert amdahl_speed_up(0, 64) == 64
        assert amdahl_speed_up(1, 64) == 1
        assert amdahl_speed_up(0, math.inf) == math.inf

    @pytest.mark.parametrize(("share", "ranks"), [(-0.1, 2), (1.1, 2), (0.5, 0), (math.nan, 2)])
    def test_refuses(self, share, ranks):
        with pytest.raises(InputError):
            amdahl_speed_up(share, ranks)

    @pytest.mark.parametrize("ranks", [2, 4, 64, 512])
    def test_is_what_data_parallelism_reaches_if_messages_are_free(self, ranks):
        one = predict("data", SMALL, FREE, 1, 512).total
        share = serial_share("data", SMALL, FREE, 512)
        assert 0 < share < 0.1
        reached = one / predict("data", SMALL, FREE, ranks, 512).total
        assert reached == pytest.approx(amdahl_speed_up(share, ranks), rel=1e-12)

    def test_nothing_is_serial_if_only_arithmetic_takes_time(self):
        assert serial_share("data", SMALL, IDEAL, 512) == pytest.approx(0, abs=1e-15)
        with pytest.raises(InputError, match="ranks"):
            serial_share("data", SMALL, IDEAL, 512, ranks=1)


class TestNetworkShape:
    def test_counts(self):
        shape = NetworkShape((3, 4, 2))
        assert shape.parameters == 3 * 4 + 4 + 4 * 2 + 2
        # Layer 1: two products of 2·5·12; layer 2: three of 2·5·8.
        assert shape.flops(5) == 240 + 240
        # x, and both layers before and after their activations: (3 + 8 + 4) numbers of 4 bytes for 5 samples.
        assert shape.activation_bytes(5) == 300
        assert NetworkShape((3, 4, 2), mixed_precision=True).activation_bytes(5) == 150

    def test_parameters_are_those_of_the_network(self):
        assert SMALL.parameters == network(SMALL.widths).parameters.size

    @pytest.mark.parametrize("widths", [(), (3,), (3, 0), (3, 2.5)])
    def test_refuses(self, widths):
        with pytest.raises(InputError, match="NetworkShape"):
            NetworkShape(widths)

    @settings(deadline=None, max_examples=50, derandomize=True)
    @given(st.lists(st.integers(1, 30), min_size=2, max_size=12), st.data())
    def test_parts_hold_every_layer_once(self, widths, data):
        count = data.draw(st.integers(1, len(widths) - 1))
        parts = NetworkShape(widths).parts(count)
        assert len(parts) == count
        assert parts[0].start == 0
        assert parts[-1].stop == len(widths) - 1
        assert all(part.start < part.stop for part in parts)
        assert all(a.stop == b.start for a, b in pairwise(parts))

    def test_equal_layers_are_divided_evenly(self):
        # All but the first cost the same, and that two thirds of it: 8 layers on 4 stages are two on each.
        assert EVEN.parts(4) == [slice(0, 2), slice(2, 4), slice(4, 6), slice(6, 8)]

    def test_slices_at_most(self):
        assert [slices_at_most(10, n) for n in (1, 3, 4, 10, 11)] == [10, 4, 3, 1, 1]


def network(widths):
    layers = []
    for n, (i, o) in enumerate(pairwise(widths)):
        layers += [ReLU()] * (n > 0) + [Linear(i, o, rng=n)]
    return Network(*layers)


class TestLimits:
    @each_mode
    @pytest.mark.parametrize("shape", [SMALL, EVEN], ids=["small", "even"])
    def test_one_rank_is_the_serial_network(self, mode, shape):
        serial = shape.seconds(REAL, 512) + shape.update_seconds(REAL)
        step = predict(mode, shape, REAL, 1, 512)
        assert step.total == pytest.approx(serial, rel=1e-12)
        assert step.communication == step.idle == step.wire_bytes == 0

    @pytest.mark.parametrize("mode", [mode for mode in MODES if mode not in ("GPipe", "1F1B", "interleaved")])
    @pytest.mark.parametrize("ranks", [2, 4, 8, 64])
    def test_arithmetic_alone_is_divided_evenly(self, mode, ranks):
        one = predict(mode, EVEN, IDEAL, 1, 512).total
        assert predict(mode, EVEN, IDEAL, ranks, 512).total == pytest.approx(one / ranks, rel=1e-12)

    @pytest.mark.parametrize(("mode", "chunks"), [("GPipe", 1), ("1F1B", 1), ("interleaved", 2)])
    @pytest.mark.parametrize(("p", "m"), [(2, 8), (4, 4), (4, 16)])
    def test_an_ideal_pipeline_waits_as_its_schedule_does(self, mode, chunks, p, m):
        # The first layer is 2/3 of the others: where it is not on the busiest stage, the schedule decides alone.
        shape, options = NetworkShape((64,) * 17), {"chunks": chunks} if chunks > 1 else {}
        schedule = make_pipeline_schedule(mode, p, microbatches=m, **options)
        rows = 512 // m
        parts = shape.parts(p * chunks)
        forward = [float(2 * rows * 64 * 64 * (part.stop - part.start)) for part in parts]
        backward = [2 * f for f in forward]
        backward[0] -= 2 * rows * 64 * 64
        expected = simulate(schedule, forward, backward).makespan
        step = predict(mode, shape, ONE_FLOP, p, 512, microbatches=m, chunks=chunks)
        assert step.total == pytest.approx(expected, rel=0.01)
        assert step.communication == 0
        # (p - 1) / (v m + p - 1), but for the first layer.
        assert step.idle / step.total == pytest.approx((p - 1) / (chunks * m + p - 1), rel=0.07)

    def test_microbatches_have_to_be_added_up(self):
        # 8 parameters (4 · 1 + 4) and 4 microbatches: three times 3 passes over 8 numbers of 4 bytes, at a byte a
        # second. Everything else: 4 · the time of one sample, and one update.
        machine, shape = Machine(math.inf, memory_bandwidth=1.0), NetworkShape((1, 4))
        one, four = (predict("data", shape, machine, 1, m, microbatches=m).total for m in (1, 4))
        update = 5 * 8 * 4
        assert four - update == pytest.approx(4 * (one - update) + 3 * 3 * 8 * 4)

    def test_messages_of_a_pipeline_are_never_cheaper_than_overlapped_ones(self):
        # ``simulate`` lets messages travel while stages compute, the cost model does not.
        for p, m in ((2, 8), (4, 8), (8, 32)):
            machine = Machine(1e9, latency=1e-4)
            shape = NetworkShape((64,) * 17)
            rows = 512 // m
            forward = [2 * rows * 64 * 64 * (part.stop - part.start) / 1e9 for part in shape.parts(p)]
            backward = [2 * f for f in forward]
            backward[0] -= 2 * rows * 64 * 64 / 1e9
            for mode in ("GPipe", "1F1B"):
                schedule = make_pipeline_schedule(mode, p, microbatches=m)
                overlapped = simulate(schedule, forward, backward, message_time=1e-4).makespan
                total = predict(mode, shape, machine, p, 512, microbatches=m).total
                assert overlapped <= total * (1 + 1e-9) <= overlapped + 2 * (m + p) * 1e-4

    @each_mode
    @settings(deadline=None, max_examples=30, derandomize=True)
    @given(
        ranks=st.sampled_from([2, 4, 8]), factor=st.floats(1.1, 100), batch=st.sampled_from([64, 128, 256]),
        what=st.sampled_from(["flops", "bandwidth", "memory_bandwidth", "latency"]),
    )  # fmt: skip
    def test_a_better_machine_is_never_slower(self, mode, ranks, factor, batch, what):
        numbers = {"flops": 6e10, "latency": 1e-5, "bandwidth": 2e9, "memory_bandwidth": 2e10}
        better = dict(numbers)
        better[what] = numbers[what] / factor if what == "latency" else numbers[what] * factor
        options = {"microbatches": ranks}
        before = predict(mode, EVEN, Machine(**numbers), ranks, batch, **options)
        after = predict(mode, EVEN, Machine(**better), ranks, batch, **options)
        assert after.total <= before.total * (1 + 1e-12)
        assert after.bytes_per_rank == before.bytes_per_rank
        more = predict(mode, EVEN, Machine(**numbers), ranks, 2 * batch, **options)
        assert more.total > before.total

    @each_mode
    def test_more_ranks_compute_less_each_and_never_hold_more(self, mode):
        steps = [predict(mode, EVEN, REAL, ranks, 512, microbatches=8) for ranks in (1, 2, 4, 8)]
        assert all(a.compute > b.compute for a, b in pairwise(steps))
        assert all(a.bytes_per_rank >= b.bytes_per_rank for a, b in pairwise(steps))
        assert all(a.wire_bytes < b.wire_bytes for a, b in pairwise(steps[:2]))


class TestBytes:
    """Bytes held and sent: by the published formulas, and as ranks really do it."""

    P = 999 * 1001 + 1001  # 1,001,000

    @pytest.mark.parametrize(
        ("mode", "ranks", "bytes_a_parameter"),
        [
            ("data", 1, 16), ("data", 64, 16),
            ("ZeRO-1", 4, 4 + 3), ("ZeRO-1", 12, 5), ("ZeRO-2", 14, 3), ("ZeRO-2", 2, 9),
            ("ZeRO-3", 16, 1), ("ZeRO-3", 64, 0.25),
        ],
    )  # fmt: skip
    def test_published(self, mode, ranks, bytes_a_parameter):
        shape = NetworkShape((999, 1001), mixed_precision=True)
        step = predict(mode, shape, REAL, ranks, ranks)  # a sample for each rank
        activations = 2 * (999 + 2 * 1001)
        assert step.bytes_per_rank - activations == pytest.approx(bytes_a_parameter * self.P, rel=1e-12)

    def test_a_network_too_large_for_one_machine(self):
        # 96 · 2 · 12288 · 49152 weights and the biases: 16 bytes of each are 1.86 TB.
        shape = NetworkShape([12288, 49152] * 96 + [12288], mixed_precision=True)
        assert shape.parameters == 96 * (2 * 12288 * 49152 + 12288 + 49152)
        machine = Machine(1e14, 1e-5, 1e11, 1e12, memory_bytes=80e9)
        assert not predict("data", shape, machine, 1024, 2048).fits(machine)
        assert not predict("ZeRO-3", shape, machine, 16, 2048).fits(machine)
        assert predict("ZeRO-3", shape, machine, 1024, 2048).fits(machine)
        steps = compare(tuple(MODES), shape, machine, 1024, 2048)
        assert "1F1B" not in steps  # 192 layers are not enough
        assert fastest(steps, machine) in steps
        assert steps[fastest(steps, machine)].fits(machine)
        assert fastest(steps, Machine(1e14, memory_bytes=1e6)) is None

    def test_in_flight_activations(self):
        # 8 layers on 4 stages, 16 microbatches of 4 samples. What a stage of two layers keeps of one: x and twice
        # 64 outputs of each, 5 · 64 numbers of 4 bytes for 4 samples. Stage 0 keeps 16 of them or 4.
        state = 16 * 2 * (64 * 64 + 64)
        held = {
            mode: predict(mode, EVEN, REAL, 4, 64, microbatches=16).bytes_per_rank - state
            for mode in ("GPipe", "1F1B")
        }
        assert held == {"GPipe": 16 * 5 * 64 * 4 * 4, "1F1B": 4 * 5 * 64 * 4 * 4}

    @pytest.mark.parametrize("ranks", [2, 3, 4])
    @pytest.mark.parametrize("mode", ["data", "ZeRO-1", "ZeRO-2", "ZeRO-3"])
    def test_as_many_as_data_parallel_ranks_really_send_and_hold(self, mode, ranks):
        shape, batch = NetworkShape((24, 48, 12)), 12  # divisible by all of these ranks

        def train(communicator):
            net = network(shape.widths)
            stage = 0 if mode == "data" else int(mode[-1])
            parallel = ShardedDataParallel(net, communicator, stage) if stage else DataParallel(net, communicator)
            optimizer = SGD(net.parameters, lr=0.1, momentum=0.9)
            communicator.counts.clear()
            x, y = np.ones((batch, 24), np.float32), np.zeros(batch, int)
            parallel.training_step(slice_batch(x, communicator), slice_batch(y, communicator), CrossEntropyLoss())
            optimizer.step()
            parallel.publish()
            return communicator.counts.wire_bytes, bytes_held(parallel, optimizer)

        step = predict(mode, shape, REAL, ranks, batch)
        sent, held = zip(*run_threads(train, ranks), strict=True)
        loss = 2 * (ranks - 1) / ranks * 48  # six float64 sums
        assert np.mean(sent) == pytest.approx(step.wire_bytes + loss, rel=1e-12)
        state = step.bytes_per_rank - shape.activation_bytes(batch / ranks)
        assert np.mean(held) == pytest.approx(state, rel=0.05)  # rows are padded

    @pytest.mark.parametrize("ranks", [2, 3, 4])
    @pytest.mark.parametrize("sequence_parallel", [False, True])
    def test_as_many_as_tensor_parallel_ranks_really_send(self, ranks, sequence_parallel):
        batch, widths = 12, (10, 24, 8, 48, 6)

        def train(communicator):
            options = {"communicator": communicator, "sequence_parallel": sequence_parallel, "rng": 0}
            blocks = ParallelMlp(10, 24, 8, **options), ReLU(), ParallelMlp(8, 48, 6, **options)
            net = Network(*blocks)
            x, y = np.ones((batch, 10), np.float32), np.zeros(batch, int)
            if sequence_parallel:
                x, y = slice_batch(x, communicator), slice_batch(y, communicator)
            communicator.counts.clear()
            net.training_step(x, y, CrossEntropyLoss())
            lengths = communicator.counts["gather_lengths"].wire_bytes
            return communicator.counts.wire_bytes - lengths, net.parameters.size

        mode = "tensor, sequence parallel" if sequence_parallel else "tensor"
        step = predict(mode, NetworkShape(widths), REAL, ranks, batch)
        sent, parameters = zip(*run_threads(train, ranks), strict=True)
        assert np.mean(sent) == pytest.approx(step.wire_bytes, rel=1e-12)
        layers = NetworkShape(widths).tensor_layers(ranks)
        assert parameters[0] == sum(layer.parameters for layer in layers)

    @pytest.mark.parametrize(("mode", "chunks"), [("GPipe", 1), ("1F1B", 1), ("interleaved", 2)])
    def test_as_many_as_stages_really_send(self, mode, chunks):
        widths, batch, p, m = (16,) * 5, 12, 2, 4

        def train(communicator):
            options = {"chunks": chunks} if chunks > 1 else {}
            schedule = make_pipeline_schedule(mode, p, microbatches=m, **options)
            pipeline = Pipeline(network(widths), communicator, schedule)
            x, y = np.ones((batch, 16), np.float32), np.zeros(batch, int)
            pipeline.training_step(x, y, CrossEntropyLoss())  # the first one tells shapes to each other
            communicator.counts.clear()
            pipeline.training_step(x, y, CrossEntropyLoss())
            return communicator.counts["send"].wire_bytes

        step = predict(mode, NetworkShape(widths), REAL, p, batch, microbatches=m, chunks=chunks)
        scores = (p - 1) * (batch * 16 * 4 + 4 * 8) / p  # and four float64 numbers, from the last stage to all
        assert np.mean(run_threads(train, p)) == pytest.approx(step.wire_bytes + scores, rel=1e-12)


class TestRefused:
    @pytest.mark.parametrize(
        ("mode", "ranks", "batch", "options", "message"),
        [
            ("serial", 2, 512, {}, "mode must be one of 'data'"),
            ("data", 0, 512, {}, "ranks must be an integer of at least 1"),
            ("data", 2, 0, {}, "batch must be"),
            ("data", 513, 512, {}, "512 samples are too few for 513 ranks"),
            ("ZeRO-3", 256, 512, {"microbatches": 3}, "512 samples are too few for 256 ranks with 3 parts each"),
            ("tensor", 3, 512, {}, "3 ranks cannot divide a width of 1024"),
            ("tensor, sequence parallel", 8, 4, {}, "4 samples are too few for 8 ranks"),
            ("GPipe", 4, 512, {}, "4 parts need as many layers, the network has 3"),
            ("1F1B", 2, 4, {"microbatches": 8}, "4 samples are too few for 8 microbatches"),
            ("interleaved", 2, 512, {"microbatches": 3}, "multiple of the 2 stages"),
        ],
    )
    def test_what_cannot_be(self, mode, ranks, batch, options, message):
        with pytest.raises(InputError, match=message):
            predict(mode, SMALL, REAL, ranks, batch, **options)

    def test_one_layer_is_no_pair(self):
        with pytest.raises(InputError, match="no pair"):
            predict("tensor", NetworkShape((8, 8)), REAL, 2, 4)

    def test_compare_leaves_out_what_cannot_be_but_not_what_is_unknown(self):
        assert set(compare(tuple(MODES), SMALL, REAL, 3, 512)) == {
            "data", "ZeRO-1", "ZeRO-2", "ZeRO-3", "GPipe", "1F1B",
        }  # fmt: skip
        with pytest.raises(InputError, match="mode must be"):
            compare(("data", "nonsense"), SMALL, REAL, 2, 512)


class TestMeasured:
    def test_fit_line(self):
        sizes = [1e3, 1e4, 1e5, 1e6]
        assert fit_line(sizes, [3 + 2 * s for s in sizes]) == pytest.approx((3, 2))
        assert fit_line(sizes, [5.0] * 4) == pytest.approx((5, 0), abs=1e-12)
        # Neither of the two is ever below 0, whatever noise there is.
        start, slope = fit_line([1, 2, 3], [1.0, 3.0, 5.0])
        assert start == 0
        assert slope > 0
        start, slope = fit_line([1, 2, 3], [3.0, 2.0, 1.0])
        assert start > 0
        assert slope == 0

    @pytest.mark.parametrize("ranks", [1, 3])
    def test_is_a_machine_and_the_same_on_all_ranks(self, ranks):
        def measure(communicator):
            return measure_machine(communicator, (32, 64, 8), rows=(4, 16), repeats=2, sizes=(1024, 65536))

        machines = run_threads(measure, ranks) if ranks > 1 else [measure(SerialCommunicator())]
        assert machines == [machines[0]] * ranks
        assert 0 < machines[0].flops < math.inf
        assert 0 < machines[0].memory_bandwidth < math.inf
        assert (machines[0].send_bandwidth is None) == (ranks == 1)

    def test_refuses(self):
        for options in ({"widths": (3,)}, {"rows": ()}, {"sizes": (8,)}, {"rows": (0,)}, {"repeats": 0}):
            with pytest.raises(InputError, match="measure_machine"):
                measure_machine(SerialCommunicator(), **options)
