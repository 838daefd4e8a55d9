"""Pipelines train what the serial network would become, with any schedule, on threads and on processes."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from pipeline_exercise import (
    CLASSES,
    FEATURES,
    ROWS,
    SGD_OPTIONS,
    STEPS,
    data,
    exercise,
    schedules,
    serial_network,
)
from running import PATIENCE, run_ranks

from mlp import SGD, Adam, CrossEntropyLoss, InputError, Linear, MSELoss, Network, Solver
from mlp.layers import (
    BatchNorm,
    Dropout,
    Embedding,
    GatedMlp,
    GeLU,
    LayerNorm,
    Mlp,
    Recompute,
    ReLU,
    Residual,
    Tanh,
)
from mlp.optim import clip_by_norm
from mlp.parallel import RowParallelLinear, SerialCommunicator, run_threads
from mlp.parallel.pipeline.chunk import Chunk
from mlp.parallel.pipeline.instructions import Backward, Forward, OptimizerStep, PipelineSchedule
from mlp.parallel.pipeline.schedules import forward_only, gpipe, interleaved, model_parallel, one_f_one_b
from mlp.parallel.pipeline.training import Pipeline
from mlp.solver.step import Step

LIMIT = PATIENCE
RANKS = [1, 2, 3, 4]


def run(program, ranks, *args):
    return run_threads(program, ranks, *args, time_limit=LIMIT)


def assert_close(actual, expected):
    """To 1e-12, relative to the largest entry."""
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12 * np.abs(expected).max(initial=0))


def train_serially(network, x, y, loss, accumulate, steps=STEPS, make=SGD, sample_weight=None, **options):
    """The network after some steps, its optimizer, and the outcome of the last step."""
    optimizer = make(network.parameters, **(options or SGD_OPTIONS))
    step = Step(network, loss, optimizer, accumulate=accumulate)
    for k in range(steps):
        outcome = step(k, x, y, sample_weight, np.random.default_rng(0), False)
    return network, optimizer, outcome


@pytest.fixture(scope="module")
def serial():
    """Of the whole batch at once."""
    network, (x, y), loss = serial_network(), data(), CrossEntropyLoss()
    scores = network.forward(x)
    results = {"loss": loss.forward(scores, y), "scores": scores}
    results["input gradient"] = network.backward(loss.backward(), input_gradient=True)
    results |= {f"gradient {p.name}": p.grad.copy() for p in network.parameters}
    network, optimizer, outcome = train_serially(serial_network(), x, y, loss, accumulate=1)
    results |= {f"weight {name}": array for name, array in network.state_dict().items()}
    results["optimizer scaled_velocity"] = optimizer.state_dict()["scaled_velocity"]
    return results | {"last loss": outcome.loss, "scores after": network.scores(x)}


@pytest.fixture(scope="module", params=RANKS)
def ranks(request):
    return run(exercise, request.param)


class TestAgainstTheSerialNetwork:
    def test_equal_to_it(self, ranks, serial):
        """Loss, scores, dL/dx, every gradient; all parameters, velocity and scores after 20 steps."""
        for schedule in schedules(len(ranks)):
            found = {}
            for results in ranks:
                own = {k.removeprefix(f"{schedule}: "): v for k, v in results.items() if k.startswith(schedule)}
                for name in own.keys() & serial.keys():
                    assert_close(own[name], serial[name])
                found |= own
            assert serial.keys() - found.keys() == set()

    def test_the_same_bits_as_gradient_accumulation_gives(self, ranks):
        x, y = data()
        for name, schedule in schedules(len(ranks)).items():
            m = min(schedule.microbatches, ROWS)
            network, optimizer, outcome = train_serially(serial_network(), x, y, CrossEntropyLoss(), m)
            expected = {f"weight {key}": array for key, array in network.state_dict().items()}
            expected |= {f"optimizer {key}": array for key, array in optimizer.state_dict().items()}
            expected["last loss"] = np.array(outcome.loss)
            for results in ranks:
                for key, array in expected.items():
                    np.testing.assert_array_equal(results[f"{name}: {key}"], array, strict=True)

    def test_the_microbatches_in_flight_are_those_of_the_schedule(self, ranks):
        for name, schedule in schedules(len(ranks)).items():
            counted = [results[f"{name}: in flight"] for results in ranks]
            assert counted == [schedule.in_flight(i) for i in range(len(ranks))]
            if schedule.name == "1F1B":
                assert counted == [min(len(ranks) - i, schedule.microbatches) for i in range(len(ranks))]

    def test_the_messages(self, ranks):
        """Of 2 (p v - 1) m messages a step, half go forward; each stage also gets loss, weight and scores."""
        p = len(ranks)
        for name, schedule in schedules(p).items():
            sent = sum(results[f"{name}: send"] for results in ranks)
            received = sum(results[f"{name}: receive"] for results in ranks)
            np.testing.assert_array_equal(sent, received)
            between_parts = 2 * (schedule.parts - 1) * schedule.microbatches
            assert sent[0] == STEPS * (between_parts + 2 * (p - 1))


def test_processes_give_the_bits_of_threads(tmp_path):
    run_ranks(2, Path(__file__).with_name("pipeline_exercise.py"), tmp_path)
    for rank, of_thread in enumerate(run(exercise, 2)):
        of_process = dict(np.load(tmp_path / f"rank{rank}.npz"))
        assert of_process.keys() == of_thread.keys()
        for name, array in of_thread.items():
            np.testing.assert_array_equal(of_process[name], array, strict=True)


def test_the_bytes_of_the_messages():
    """Two stages, cut where 9 features pass: each row once as activations (9 numbers), once as gradients; then
    three numbers, of the loss, and each row's 4 scores, to the other stage."""

    def program(communicator):
        x, y = data()
        pipeline = Pipeline(serial_network(), communicator, one_f_one_b(2, 5), cuts=[8])
        pipeline.training_step(x, y, CrossEntropyLoss())  # shapes are made known once
        communicator.counts.clear()
        pipeline.training_step(x, y, CrossEntropyLoss())
        return communicator.counts["send"].payload_bytes

    assert run(program, 2) == [ROWS * 9 * 8, ROWS * 9 * 8 + 32 + ROWS * CLASSES * 8]


LOSSES = [
    (CrossEntropyLoss(), True),
    (CrossEntropyLoss(class_weight=[1, 2, 0.5, 3]), False),
    (CrossEntropyLoss("sum"), True),
    (MSELoss("element_mean"), True),
    (MSELoss(), False),
]


@pytest.mark.parametrize(("loss", "weighted"), LOSSES, ids=lambda value: repr(value))
@pytest.mark.parametrize("make", [lambda: gpipe(2, 3), lambda: interleaved(2, 4, 2)])
def test_microbatches_count_by_their_weights(loss, weighted, make):
    x, y = data()
    w = np.random.default_rng(2).uniform(0, 2, ROWS) if weighted else None
    if w is not None:
        w[:8] = 0  # the first microbatch has no weight at all
    targets = y if isinstance(loss, CrossEntropyLoss) else np.random.default_rng(3).normal(size=(ROWS, CLASSES))
    network = serial_network()
    value, _ = network.training_step(x, targets, loss, sample_weight=w)
    weight, total = loss.weight, loss.total

    def program(communicator):
        # A loss keeps what it computed: every thread needs its own.
        own = type(loss)(loss.reduction, **({"class_weight": loss.class_weight} if targets is y else {}))
        pipeline = Pipeline(serial_network(), communicator, make())
        value, _ = pipeline.training_step(x, targets, own, sample_weight=w)
        return value, own.total, own.weight, {p.name: p.grad.copy() for p in pipeline.parameters}

    for *numbers, gradients in run(program, 2):
        assert numbers == pytest.approx([value, total, weight], rel=1e-12)
        for name, g in gradients.items():
            assert_close(g, network.parameters[name].grad)


def test_gradients_of_several_steps_add_up():
    x, y = data()
    network, loss = serial_network(), CrossEntropyLoss()
    network.training_step(x, y, loss, summed=True, scale=0.5)
    network.training_step(x[:9], y[:9], loss, summed=True, scale=0.5, accumulate=True)

    def program(communicator):
        pipeline, loss = Pipeline(serial_network(), communicator, one_f_one_b(2, 3)), CrossEntropyLoss()
        pipeline.training_step(x, y, loss, summed=True, scale=0.5)
        pipeline.training_step(x[:9], y[:9], loss, summed=True, scale=0.5, accumulate=True)
        with pytest.raises(InputError, match=r"accumulate adds up gradients of sums .*: give summed=True"):
            pipeline.training_step(x, y, loss, accumulate=True)
        return {p.name: p.grad.copy() for p in pipeline.parameters}

    for gradients in run(program, 2):
        for name, g in gradients.items():
            assert_close(g, network.parameters[name].grad)


def random_network() -> Network:
    layers = [Linear(FEATURES, 9), BatchNorm(9), GeLU(), Dropout(0.3), Linear(9, 8), Tanh(), Dropout(0.4)]
    layers += [Linear(8, 9), BatchNorm(9), ReLU(), Linear(9, CLASSES)]
    return Network(*layers, rng=5, init="auto", dtype=np.float64)


def train_random(communicator, schedule, steps=STEPS):
    (x, y), loss = data(), CrossEntropyLoss()
    pipeline = Pipeline(random_network(), communicator, schedule)
    optimizer = Adam(pipeline.parameters, lr=0.01)
    for _ in range(steps):
        pipeline.training_step(x, y, loss, update=optimizer.step)
    return pipeline, optimizer


class TestLayersWithAState:
    """Dropout draws a mask, and BatchNorm takes statistics, of each microbatch."""

    @pytest.mark.parametrize(
        "schedule", [gpipe(2, 4), one_f_one_b(3, 5), interleaved(2, 4, 2)], ids=lambda s: s.name
    )
    def test_the_same_bits_as_gradient_accumulation_gives(self, schedule):
        x, y = data()
        network, optimizer, _ = train_serially(
            random_network(), x, y, CrossEntropyLoss(), schedule.microbatches, make=Adam, lr=0.01
        )
        generators = {name: rng.bit_generator.state for name, rng in network.generators().items()}

        def program(communicator):
            pipeline, own = train_random(communicator, schedule)
            return (
                pipeline.state_dict(),
                pipeline.optimizer_state(own),
                pipeline.generator_states(),
                pipeline.scores(x),
            )

        for state, optimizer_state, states, scores in run(program, schedule.stages):
            assert list(state) == list(network.state_dict())
            for name, array in network.state_dict().items():
                np.testing.assert_array_equal(state[name], array, strict=True)
            for name, array in optimizer.state_dict().items():
                np.testing.assert_array_equal(optimizer_state[name], array, strict=True)
            assert states == generators
            assert_close(scores, network.scores(x))

    def test_statistics_of_microbatches_are_not_those_of_the_batch(self):
        """Unlike everything else, which is why BatchNorm wants microbatches that are not too small."""
        x, y = data()
        network, *_ = train_serially(random_network(), x, y, CrossEntropyLoss(), 1, make=Adam, lr=0.01)
        state = run(lambda c: train_random(c, gpipe(2, 4))[0].state_dict(), 2)[0]
        assert np.abs(state["1.running_var"] / network.state_dict()["1.running_var"] - 1).max() > 1e-3


class TestCheckpoints:
    def test_are_those_of_the_serial_network(self):
        """Ten steps on three stages, then ten serially, on two stages, and on two with two chunks each."""
        (x, y), loss, m = data(), CrossEntropyLoss(), 4
        network, *_ = train_serially(random_network(), x, y, loss, m, make=Adam, lr=0.01)

        def begin(communicator):
            pipeline, optimizer = train_random(communicator, one_f_one_b(3, m), 10)
            return pipeline.state_dict(), pipeline.optimizer_state(optimizer), pipeline.generator_states()

        def go_on(communicator, schedule):
            pipeline, loss = Pipeline(random_network(), communicator, schedule), CrossEntropyLoss()
            optimizer = Adam(pipeline.parameters, lr=0.01)
            pipeline.load_state_dict(state)
            pipeline.load_optimizer_state(optimizer, optimizer_state)
            pipeline.load_generator_states(generators)
            for _ in range(10):
                pipeline.training_step(x, y, loss, update=optimizer.step)
            return pipeline.state_dict()

        state, optimizer_state, generators = run(begin, 3)[0]
        serial = random_network()
        serial.load_state_dict(state)
        own = Adam(serial.parameters, lr=0.01)
        own.load_state_dict(optimizer_state)
        for name, rng in serial.generators().items():
            rng.bit_generator.state = generators[name]
        step = Step(serial, loss, own, accumulate=m)
        for k in range(10):
            step(k, x, y, None, np.random.default_rng(0), False)

        ends = [serial.state_dict(), *run(go_on, 2, gpipe(2, m)), *run(go_on, 2, interleaved(2, m, 2))]
        for end in ends:
            for name, array in network.state_dict().items():
                np.testing.assert_array_equal(end[name], array, strict=True)

    def test_of_another_network_are_refused(self):
        def program(communicator):
            pipeline = Pipeline(serial_network(), communicator, gpipe(2, 2))
            before = pipeline.parameters.data.copy()
            state = pipeline.state_dict()
            for wrong in ({k: v for k, v in state.items() if k != "0.weight"}, state | {"2.bias": np.zeros(3)}):
                with pytest.raises(InputError, match=r"0\.weight|2\.bias"):
                    pipeline.load_state_dict(wrong)
            np.testing.assert_array_equal(pipeline.parameters.data, before)
            state["0.weight"][...] = 0  # the caller's own
            np.testing.assert_array_equal(pipeline.parameters.data, before)

        run(program, 2)

    def test_parameters_have_their_serial_names(self):
        def program(communicator):
            pipeline = Pipeline(serial_network(), communicator, interleaved(2, 2, 2), cuts=[2, 6, 10])
            return [p.name for p in pipeline.parameters], [layer.name for layer in pipeline.network.layers[1]]

        (first, _), (second, names) = run(program, 2)
        assert first == ["0.weight", "0.bias", "6.weight", "6.bias", "8.weight", "8.bias", "9.weight", "9.bias"]
        assert second == ["2.weight", "2.bias", "4.weight", "4.bias", "11.weight", "13.weight", "13.bias"]
        assert names[1] == "layer 11 Linear(6, 8, bias=False)"


class TestGlobalNorm:
    @pytest.mark.parametrize("limit", [0.01, 1e9])
    def test_is_that_of_the_serial_network(self, limit):
        x, y = data()
        network = serial_network()
        network.training_step(x, y, CrossEntropyLoss())
        norm = clip_by_norm(network.parameters, limit)

        def program(communicator):
            pipeline = Pipeline(serial_network(), communicator, gpipe(3, 1))
            pipeline.training_step(x, y, CrossEntropyLoss())
            return pipeline.clip_by_norm(limit), {p.name: p.grad.copy() for p in pipeline.parameters}

        for found, gradients in run(program, 3):
            assert found == pytest.approx(norm, rel=1e-14)
            for name, g in gradients.items():
                assert_close(g, network.parameters[name].grad)

    def test_refuses_a_limit_below_0(self):
        pipeline = Pipeline(serial_network(), SerialCommunicator(), gpipe(1, 2))
        with pytest.raises(InputError, match="limit must be a finite number >= 0, got -1"):
            pipeline.clip_by_norm(-1)


NETWORKS = {
    "tokens": lambda: [Linear(5, 6), LayerNorm(6), GeLU(), Linear(6, 4), Tanh(), Linear(4, 3)],
    "containers": lambda: [
        Linear(5, 6), Residual(Linear(6, 6), Tanh()), Recompute(Linear(6, 7), GeLU()), Mlp(7, 9),
        GatedMlp(7, 8, out_features=6, multiple_of=1), Linear(6, 3),
    ],
    "a layer with another one inside": lambda: [
        Linear(5, 8), ReLU(), RowParallelLinear(8, 6, SerialCommunicator(), rng=0), Tanh(), Linear(6, 3)
    ],
    "activations first and last": lambda: [Tanh(), Linear(5, 6), Linear(6, 3), Tanh()],
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_other_layers_and_inputs_with_more_axes(name):
    """(batch, tokens, features), and microbatches of 2 and 3 rows."""
    rng = np.random.default_rng(4)
    x, targets = rng.normal(size=(10, 3, 5)), rng.normal(size=(10, 3, 3))

    def make():
        return Network(*[layer.astype(np.float64) for layer in NETWORKS[name]()], rng=3, init="auto")

    network = make()
    loss, scores = network.training_step(x, targets, MSELoss())

    def program(communicator):
        pipeline = Pipeline(make(), communicator, one_f_one_b(2, 4))
        for _ in range(2):  # the second time in the same memory
            found = pipeline.training_step(x, targets, MSELoss())
        return *found, {p.name: p.grad.copy() for p in pipeline.parameters}

    names = []
    for found, found_scores, gradients in run(program, 2):
        assert found == pytest.approx(loss, rel=1e-12)
        assert_close(found_scores, scores)
        for name, g in gradients.items():
            assert_close(g, network.parameters[name].grad)
        names += gradients
    assert names == [p.name for p in network.parameters]


def test_shapes_that_change_on_the_way():
    """Tokens (batch, tokens) become vectors (batch, tokens, features)."""
    x, y = np.arange(14).reshape(7, 2) % 5, np.arange(14).reshape(7, 2) % 3

    def make():
        return Network(Embedding(5, 4), Linear(4, 6), ReLU(), Linear(6, 3), rng=0, dtype=np.float64)

    network = make()
    loss, scores = network.training_step(x, y, CrossEntropyLoss())

    def program(communicator):
        found, found_scores = Pipeline(make(), communicator, gpipe(3, 2)).training_step(x, y, CrossEntropyLoss())
        assert found == pytest.approx(loss, rel=1e-14)
        assert_close(found_scores, scores)

    run(program, 3)


class TestSharedParameters:
    def make(self):
        first = Linear(6, 6)
        return Network(
            Linear(FEATURES, 6), first, Tanh(), first.tied(), Linear(6, CLASSES), rng=0, dtype=np.float64
        )

    @pytest.mark.parametrize(
        ("schedule", "cuts"), [(gpipe(2, 3), [4]), (gpipe(2, 3), [1]), (interleaved(2, 2, 2), [1, 2, 3])]
    )
    def test_on_one_stage(self, schedule, cuts):
        x, y = data()
        network, *_ = train_serially(self.make(), x, y, CrossEntropyLoss(), 1)

        def program(communicator):
            pipeline = Pipeline(self.make(), communicator, schedule, cuts=cuts)
            optimizer = SGD(pipeline.parameters, **SGD_OPTIONS)
            for _ in range(STEPS):
                pipeline.training_step(x, y, CrossEntropyLoss(), update=optimizer.step)
            return pipeline.state_dict()

        for state in run(program, 2):
            assert list(state) == list(network.state_dict())
            for name, array in network.state_dict().items():
                assert_close(state[name], array)

    def test_on_two_stages_are_refused(self):
        with pytest.raises(InputError, match=r"layers 1 and 3 share 3\.weight, but are on stages 0 and 1"):
            run(lambda c: Pipeline(self.make(), c, gpipe(2, 2), cuts=[2]), 2)

    def test_a_generator_on_two_stages_is_refused(self):
        rng = np.random.default_rng(0)
        network = Network(Linear(3, 3), Dropout(0.5, rng), Linear(3, 3), Dropout(0.5, rng))
        with pytest.raises(InputError, match=r"layers 1 and 3 share 3\.rng, but are on stages 0 and 1"):
            run(lambda c: Pipeline(network, c, gpipe(2, 2)), 2)


class TestMemory:
    def test_of_a_microbatch_in_flight_is_its_own(self):
        chunk = Chunk(Network(Linear(2, 2)).body)
        y = [chunk.forward(m, np.full((3, 2), m, np.float32)) for m in (0, 1)]
        assert not np.may_share_memory(*y)
        assert chunk.in_flight == 2
        chunk.backward(0, np.ones((3, 2), np.float32))
        assert chunk.in_flight == 1

    def test_of_the_caller_is_not_changed(self):
        x, y = data()
        before, network = x.copy(), serial_network()
        weights = network.state_dict()

        def program(communicator):
            pipeline = Pipeline(network, communicator, gpipe(2, 3))
            optimizer = SGD(pipeline.parameters, lr=0.1)
            pipeline.training_step(x, y, CrossEntropyLoss(), update=optimizer.step)
            scores = pipeline.scores(x)
            kept = scores.copy()
            pipeline.evaluation_step(x[:5])
            np.testing.assert_array_equal(scores, kept)

        run(program, 2)
        np.testing.assert_array_equal(x, before)
        for name, array in network.state_dict().items():
            np.testing.assert_array_equal(array, weights[name])


class TestTimeline:
    def test_has_all_instructions_in_an_order_that_is_possible(self):
        """A pass begins when the message that it needs has been sent: threads have one clock."""

        def program(communicator):
            (x, y), schedule = data(), one_f_one_b(3, 4)
            pipeline = Pipeline(serial_network(), communicator, schedule)
            optimizer = SGD(pipeline.parameters, lr=0.1)
            pipeline.training_step(x, y, CrossEntropyLoss(), update=optimizer.step)
            pipeline.evaluation_step(x)  # is not training
            return pipeline.timeline()

        timeline, *others = run(program, 3)
        assert others == [timeline, timeline]
        schedule = one_f_one_b(3, 4)
        at = {}
        for stage in range(3):
            own = [i for i in timeline.intervals if i.stage == stage]
            assert tuple(i.instruction for i in own) == schedule.instructions[stage]
            assert all(a.start <= a.end <= b.start for a, b in pairwise(own))
            at |= {(stage, i.instruction): i for i in own}
        for m in range(4):
            assert at[0, Forward(m)].end <= at[1, Forward(m)].start <= at[2, Forward(m)].start
            assert at[2, Backward(m)].end <= at[1, Backward(m)].start <= at[0, Backward(m)].start
        assert all(0 <= share < 1 for share in timeline.idle_shares)
        assert timeline.time_in(0, (OptimizerStep,)) > 0

    def test_before_the_first_step_there_is_none(self):
        with pytest.raises(InputError, match="no timeline before the first training step"):
            Pipeline(serial_network(), SerialCommunicator(), gpipe(1, 2)).timeline()


class TestTogether:
    def test_with_data_parallel(self):
        """A grid of two pipelines with two stages each: sums over the pipelines, divided once."""
        x, y = data()
        network, *_ = train_serially(serial_network(), x, y, CrossEntropyLoss(), 1)

        def program(communicator):
            row, column = communicator.split(communicator.rank // 2), communicator.split(communicator.rank % 2)
            mine = slice(0, 9) if column.rank == 0 else slice(9, None)
            pipeline, loss = Pipeline(serial_network(), row, one_f_one_b(2, 3)), CrossEntropyLoss()
            optimizer = SGD(pipeline.parameters, **SGD_OPTIONS)
            for _ in range(STEPS):
                pipeline.training_step(x[mine], y[mine], loss, summed=True)
                g = pipeline.parameters.grad
                column.all_reduce(g, out=g)
                g /= column.all_reduce(np.array([loss.weight]))
                optimizer.step()
            return pipeline.state_dict()

        for state in run(program, 4):
            for name, array in network.state_dict().items():
                assert_close(state[name], array)

    def test_with_the_solver(self):
        """On every rank it runs as it does over the serial network, and writes the same history."""
        x, y = data()
        options = {"epochs": 3, "batch_size": 10, "rng": 7}
        network = random_network()
        serial = Solver(network, CrossEntropyLoss(), SGD(network.parameters, lr=0.1), accumulate=3, **options)
        expected = serial.fit((x, y), test=(x[:5], y[:5]))

        def program(communicator):
            pipeline = Pipeline(random_network(), communicator, one_f_one_b(2, 3))
            solver = Solver(pipeline, CrossEntropyLoss(), SGD(pipeline.parameters, lr=0.1), **options)
            return solver.fit((x, y), test=(x[:5], y[:5])), pipeline.state_dict()

        for history, state in run(program, 2):
            for row, other in zip(history, expected, strict=True):
                assert row == pytest.approx(other, rel=1e-12)
            for name, array in network.state_dict().items():
                np.testing.assert_array_equal(state[name], array)


def test_an_order_of_ones_own():
    """Backward from the last microbatch to the first: other sums, the same gradient."""
    m = 5
    work = (*map(Forward, range(m)), *map(Backward, reversed(range(m))))
    schedule = PipelineSchedule("last in, first out", 2, m, 1, (work, work))
    x, y = data()
    network = serial_network()
    network.training_step(x, y, CrossEntropyLoss())

    def program(communicator):
        pipeline = Pipeline(serial_network(), communicator, schedule)
        pipeline.training_step(x, y, CrossEntropyLoss())
        for p in pipeline.parameters:
            assert_close(p.grad, network.parameters[p.name].grad)

    run(program, 2)


def test_float32_stays_float32():
    x, y = data()

    def program(communicator):
        pipeline = Pipeline(serial_network().astype(np.float32), communicator, gpipe(2, 3))
        optimizer = SGD(pipeline.parameters, lr=0.1)
        _, scores = pipeline.training_step(x, y, CrossEntropyLoss(), update=optimizer.step)
        assert {scores.dtype, pipeline.scores(x).dtype, *(a.dtype for a in pipeline.state_dict().values())} == {
            np.dtype(np.float32)
        }

    run(program, 2)


def test_an_empty_batch():
    def program(communicator):
        pipeline = Pipeline(serial_network(), communicator, gpipe(2, 3))
        value, scores = pipeline.training_step(np.zeros((0, FEATURES)), np.zeros(0, int), CrossEntropyLoss())
        assert (value, scores.shape, pipeline.scores(np.zeros((0, FEATURES))).shape) == (
            0,
            (0, CLASSES),
            (0, CLASSES),
        )
        assert not pipeline.parameters.grad.any()

    run(program, 2)


class TestRefusals:
    """On one rank or two; each is refused on every rank before anything is sent."""

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda c: gpipe(3, 2), "schedule GPipe is for 3 stages, there are 2 ranks"),
            (lambda c: forward_only(2, 2), "schedule forward only has no backward passes"),
            (lambda c: gpipe(2, 10_000), "2 parts and 10000 microbatches: too many to number"),
            (lambda c: interleaved(2, 2, 5), "10 stages need as many layers with parameters, the network has 8"),
        ],
    )
    def test_schedules(self, make, message):
        with pytest.raises(InputError, match=message):
            run(lambda c: Pipeline(serial_network(), c, make(c)), 2)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"cuts": [0]}, "cuts must be an integer of at least 1, got 0"),
            ({"cuts": [14]}, r"cuts must be 1 growing numbers below 14, .*got \(14,\)"),
            ({"cuts": [2, 4]}, r"cuts must be 1 growing numbers"),
            ({"cuts": [13]}, "the cuts leave stage 1 without parameters"),
            ({"costs": [1, 2]}, "costs must be 14 numbers, one for each layer, got 2"),
        ],
    )
    def test_cuts(self, options, message):
        network = Network(*serial_network().body.astype(np.float64).layers[:-1], Tanh())
        with pytest.raises(InputError, match=message):
            run(lambda c: Pipeline(network, c, gpipe(2, 2), **options), 2)

    @pytest.mark.parametrize(
        ("x", "y", "options", "message"),
        [
            (np.zeros((4, 7)), np.zeros(3, int), {}, r"4 samples need as many targets, got shape \(3,\)"),
            (
                np.zeros((4, 7)),
                np.zeros(4, int),
                {"sample_weight": np.ones(2)},
                r"as many sample_weight, got shape \(2,\)",
            ),
            (np.zeros((4, 7), complex), np.zeros(4, int), {}, "a batch of real numbers is needed, got complex128"),
            (np.float64(1), np.zeros(4, int), {}, r"a batch of real numbers is needed, got float64 of shape \(\)"),
            (np.zeros((4, 6)), np.zeros(4, int), {}, "expects 7 features in the last axis"),
            (np.zeros((4, 7)), np.full(4, 9), {}, "labels"),
        ],
    )
    def test_batches(self, x, y, options, message):
        def program(communicator):
            Pipeline(serial_network(), communicator, gpipe(2, 2)).training_step(x, y, CrossEntropyLoss(), **options)

        with pytest.raises(InputError, match=message):
            run(program, 2)

    def test_a_step_after_one_that_failed(self):
        (x, y), loss = data(), CrossEntropyLoss()
        pipeline = Pipeline(serial_network(), SerialCommunicator(), gpipe(1, 3))
        expected, _ = pipeline.training_step(x, y, loss)
        with pytest.raises(InputError, match="labels"):
            pipeline.training_step(x, np.full(ROWS, 9), loss)
        assert pipeline.training_step(x, y, loss)[0] == expected
        assert pipeline.most_in_flight == 3


def test_model_parallel_is_the_serial_computation():
    """One microbatch: not one bit of the serial network's step is another."""
    (x, y), loss = data(), CrossEntropyLoss()
    network = serial_network()
    value, scores = network.training_step(x, y, loss)

    def program(communicator):
        pipeline = Pipeline(serial_network(), communicator, model_parallel(4))
        found, found_scores = pipeline.training_step(x, y, CrossEntropyLoss())
        assert found == value
        np.testing.assert_array_equal(found_scores, scores)
        for p in pipeline.parameters:
            np.testing.assert_array_equal(p.grad, network.parameters[p.name].grad)
        return pipeline.most_in_flight

    assert run(program, 4) == [1, 1, 1, 1]
