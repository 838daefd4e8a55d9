"""Pipeline schedules: what each stage is told, that nobody waits for ever, and how long it takes."""

import graphlib
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlp import InputError
from mlp.parallel.pipeline.instructions import (
    Backward,
    Forward,
    OptimizerStep,
    PipelineSchedule,
    ReceiveActivations,
    ReceiveGradients,
    SendActivations,
    SendGradients,
)
from mlp.parallel.pipeline.schedules import (
    forward_only,
    gpipe,
    idle_share,
    interleaved,
    make_pipeline_schedule,
    model_parallel,
    one_f_one_b,
)
from mlp.parallel.pipeline.timeline import Interval, Timeline, simulate

RECEIVE, SEND = ReceiveActivations | ReceiveGradients, SendActivations | SendGradients

stages = st.integers(1, 6)
microbatches = st.integers(1, 12)
check = settings(deadline=None, max_examples=50, derandomize=True)


@st.composite
def schedules(draw) -> PipelineSchedule:
    p, m = draw(stages), draw(microbatches)
    return draw(
        st.sampled_from(
            [
                gpipe(p, m),
                one_f_one_b(p, m),
                model_parallel(p),
                interleaved(p, p * draw(st.integers(1, 4)), draw(st.integers(2, 4))),
            ]
        )
    )


def short(instructions) -> str:
    """F0 for Forward(0), B1' for Backward(1, chunk=1), rx for ReceiveActivations, sg for SendGradients."""
    names = {
        Forward: "F", Backward: "B", ReceiveActivations: "rx", SendActivations: "sx", ReceiveGradients: "rg",
        SendGradients: "sg",
    }  # fmt: skip
    return " ".join(
        "step" if i == OptimizerStep() else f"{names[type(i)]}{i.microbatch}{chr(39) * i.chunk}"
        for i in instructions
    )


class TestInstructions:
    """Worked lists."""

    def test_gpipe(self):
        first, last = gpipe(2, 2).instructions
        assert short(first) == "F0 sx0 F1 sx1 rg0 B0 rg1 B1 step"
        assert short(last) == "rx0 F0 rx1 F1 B0 sg0 B1 sg1 step"

    def test_one_f_one_b(self):
        """As in figure 4 (top) of Narayanan et al., SC 2021, with 5 microbatches instead of 8."""
        work = [short(w) for w in one_f_one_b(4, 5).work]
        assert work[0] == "F0 F1 F2 F3 B0 F4 B1 B2 B3 B4"
        assert work[1] == "F0 F1 F2 B0 F3 B1 F4 B2 B3 B4"
        assert work[2] == "F0 F1 B0 F2 B1 F3 B2 F4 B3 B4"
        assert work[3] == "F0 B0 F1 B1 F2 B2 F3 B3 F4 B4"

    def test_one_f_one_b_with_fewer_microbatches_than_stages(self):
        assert [short(w) for w in one_f_one_b(4, 2).work] == ["F0 F1 B0 B1"] * 3 + ["F0 B0 F1 B1"]

    def test_interleaved(self):
        """Two stages have four parts: chunk 0 is part 0 or 1, chunk 1 (marked ') part 2 or 3."""
        first, last = interleaved(2, 2, 2).work
        assert short(first) == "F0 F1 F0' F1' B0' B1' B0 B1"
        assert short(last) == "F0 F1 F0' B0' F1' B1' B0 B1"
        first, last = interleaved(2, 2, 2).instructions
        assert short(first) == (
            "F0 sx0 F1 sx1 rx0' F0' sx0' rx1' F1' sx1' rg0' B0' sg0' rg1' B1' sg1' rg0 B0 rg1 B1 step"
        )
        assert short(last).startswith("rx0 F0 sx0 rx1 F1 sx1 rx0' F0' B0' sg0' rx1' F1' B1' sg1'")

    @check
    @given(p=stages, groups=st.integers(1, 4), v=st.integers(2, 4))
    def test_the_order_of_the_interleaved_schedule(self, p, groups, v):
        """Pass k of Megatron-LM is of chunk (k mod p v) div p, and there of the microbatch with the next number."""
        schedule = interleaved(p, groups * p, v)
        for stage in range(p):
            counts = Counter()
            forward = [w for w in schedule.work[stage] if isinstance(w, Forward)]
            for k, work in enumerate(forward):
                chunk = k % (p * v) // p
                assert (work.chunk, work.microbatch) == (chunk, counts[chunk])
                counts[chunk] += 1
            backward = [w for w in schedule.work[stage] if isinstance(w, Backward)]
            assert [(w.microbatch, v - 1 - w.chunk) for w in backward] == [(w.microbatch, w.chunk) for w in forward]

    def test_model_parallel_is_a_pipeline_of_one_microbatch(self):
        schedule = model_parallel(3)
        assert [short(i) for i in schedule.instructions] == [
            "F0 sx0 rg0 B0 step", "rx0 F0 sx0 rg0 B0 sg0 step", "rx0 F0 B0 sg0 step"
        ]  # fmt: skip
        assert schedule.work == gpipe(3, 1).work == one_f_one_b(3, 1).work

    def test_a_network_in_use(self):
        first, last = forward_only(2, 2).instructions
        assert (short(first), short(last)) == ("F0 sx0 F1 sx1", "rx0 F0 rx1 F1")

    def test_one_stage_says_nothing(self):
        assert short(gpipe(1, 2).instructions[0]) == "F0 F1 B0 B1 step"

    def test_they_are_told_apart(self):
        assert Forward(1) == Forward(1, chunk=0)
        assert Forward(1) != Backward(1)
        assert len({Forward(0), Backward(0), Forward(0), Forward(0, 1)}) == 3
        assert repr([Forward(2), Backward(0, chunk=1)]) == "[Forward(2), Backward(0, chunk=1)]"


class TestEverySchedule:
    @check
    @given(schedules())
    def test_takes_every_microbatch_forward_then_backward_once(self, schedule):
        everything = {(m, c) for m in range(schedule.microbatches) for c in range(schedule.chunks)}
        for instructions in schedule.instructions:
            place = {i: n for n, i in enumerate(instructions)}
            assert len(place) == len(instructions)
            for m, c in everything:
                assert place[Forward(m, c)] < place[Backward(m, c)]
            kinds = Counter(map(type, instructions))
            assert kinds[Forward] == kinds[Backward] == len(everything)
            assert instructions[-1] == OptimizerStep()

    @check
    @given(schedules())
    def test_can_be_completed(self, schedule):
        """What has to be before what is a graph without a circle."""
        before = graphlib.TopologicalSorter()
        parts = [(c, stage) for c in range(schedule.chunks) for stage in range(schedule.stages)]
        for stage, instructions in enumerate(schedule.instructions):
            passes = [(stage, i) for i in instructions if isinstance(i, Forward | Backward)]
            for earlier, later in pairwise(passes):
                before.add(later, earlier)
        for m in range(schedule.microbatches):
            for (c, stage), (next_c, next_stage) in pairwise(parts):
                before.add((next_stage, Forward(m, next_c)), (stage, Forward(m, c)))
                before.add((stage, Backward(m, c)), (next_stage, Backward(m, next_c)))
        assert len(list(before.static_order())) == 2 * schedule.parts * schedule.microbatches

    @check
    @given(schedules())
    def test_every_message_has_one_sender_and_one_receiver(self, schedule):
        sent, received = Counter(), Counter()
        for stage, instructions in enumerate(schedule.instructions):
            for i in instructions:
                if isinstance(i, SEND):
                    route = schedule.route(stage, i)
                    sent[stage, route.stage, route.number] += 1
                elif isinstance(i, RECEIVE):
                    route = schedule.route(stage, i)
                    received[route.stage, stage, route.number] += 1
        assert sent == received
        assert set(sent.values()) <= {1}
        assert len({number for _, _, number in sent}) == 2 * (schedule.parts - 1) * schedule.microbatches

    @check
    @given(schedules())
    def test_receives_before_and_sends_after_each_pass(self, schedule):
        for instructions in schedule.instructions:
            for before, after in pairwise(instructions):
                pair = type(before), type(after)
                if pair[0] in (ReceiveActivations, ReceiveGradients) or pair[1] in (SendActivations, SendGradients):
                    assert (before.microbatch, before.chunk) == (after.microbatch, after.chunk)
                    assert pair in {
                        (ReceiveActivations, Forward), (Forward, SendActivations),
                        (ReceiveGradients, Backward), (Backward, SendGradients),
                    }  # fmt: skip


class TestMicrobatchesInFlight:
    @check
    @given(p=stages, m=microbatches)
    def test_of_gpipe_are_all(self, p, m):
        assert [gpipe(p, m).in_flight(i) for i in range(p)] == [m] * p

    @check
    @given(p=stages, m=microbatches)
    def test_of_1f1b_are_as_many_as_stages_follow(self, p, m):
        assert [one_f_one_b(p, m).in_flight(i) for i in range(p)] == [min(p - i, m) for i in range(p)]

    @check
    @given(p=stages, groups=st.integers(1, 4), v=st.integers(2, 4))
    def test_of_the_interleaved_schedule(self, p, groups, v):
        m = groups * p
        expected = [min(2 * (p - i - 1) + (v - 1) * p + 1, v * m) for i in range(p)]
        assert [interleaved(p, m, v).in_flight(i) for i in range(p)] == expected


class TestSimulation:
    def test_of_gpipe_by_hand(self):
        """F takes 1, B takes 2: stage 0 has to wait from 2 to 5, stage 1 begins at 1, and ends 2 before stage 0."""
        timeline = simulate(gpipe(2, 2), 1, 2)
        passes = [(i.stage, i.instruction, i.start, i.end) for i in timeline.intervals if i.length]
        assert [p for p in passes if p[0] == 0] == [
            (0, Forward(0), 0, 1), (0, Forward(1), 1, 2), (0, ReceiveGradients(0), 2, 5), (0, Backward(0), 5, 7),
            (0, Backward(1), 7, 9),
        ]  # fmt: skip
        assert [p for p in passes if p[0] == 1] == [
            (1, ReceiveActivations(0), 0, 1), (1, Forward(0), 1, 2), (1, Forward(1), 2, 3), (1, Backward(0), 3, 5),
            (1, Backward(1), 5, 7),
        ]  # fmt: skip
        assert (timeline.makespan, timeline.busy(0), timeline.waiting(0)) == (9, 6, 3)
        assert timeline.idle_shares == pytest.approx((1 / 3, 1 / 3))

    def test_of_unequal_stages_by_hand(self):
        """1F1B: stage 1 is the slow one. It begins at 1 and works for 2 · (2 + 4); then stage 0 has 2 to do."""
        timeline = simulate(one_f_one_b(2, 2), (1, 2), (2, 4))
        assert timeline.makespan == 15
        assert timeline.idle_shares == pytest.approx((1 - 6 / 15, 1 - 12 / 15))
        assert timeline.idle_share == pytest.approx(1 - 18 / 30)

    def test_of_messages_and_steps_by_hand(self):
        """Forward 1, message 0.5, forward 1, backward 2, message 0.5, backward 2, step 3."""
        timeline = simulate(model_parallel(2), 1, 2, message_time=0.5, step_time=3)
        assert timeline.makespan == 10
        assert (timeline.waiting(0), timeline.waiting(1)) == (4, 1.5)
        assert timeline.busy(0) == 6

    @check
    @given(p=stages, m=microbatches, f=st.integers(1, 5), b=st.integers(1, 5))
    def test_the_idle_share_of_equal_stages(self, p, m, f, b):
        """(p - 1)(f + b) of (m + p - 1)(f + b), for GPipe and 1F1B alike."""
        for schedule in (gpipe(p, m), one_f_one_b(p, m)):
            timeline = simulate(schedule, f, b)
            assert timeline.makespan == (m + p - 1) * (f + b)
            assert timeline.idle_share == pytest.approx(idle_share(p, m), abs=1e-12)

    @check
    @given(p=st.integers(2, 6), groups=st.integers(1, 4), v=st.integers(2, 4), f=st.integers(1, 5))
    def test_the_interleaved_schedule_is_idle_for_a_shorter_time(self, p, groups, v, f):
        m = groups * p
        timeline = simulate(interleaved(p, m, v), f, 2 * f)
        assert timeline.idle_share == pytest.approx((p - 1) / (v * m + p - 1), abs=1e-12)
        assert timeline.idle_share < simulate(one_f_one_b(p, m), f, 2 * f).idle_share

    @check
    @given(schedules(), st.lists(st.integers(0, 5), min_size=48, max_size=48))
    def test_no_pass_begins_before_what_it_needs_has_ended(self, schedule, times):
        S = schedule.parts
        timeline = simulate(schedule, times[:S], times[S : 2 * S], message_time=1)
        at = {(schedule.part(i.stage, i.instruction.chunk), i.instruction): i
              for i in timeline.intervals if isinstance(i.instruction, Forward | Backward)}  # fmt: skip
        by_pass = {(part, type(i), i.microbatch): interval for (part, i), interval in at.items()}
        for (part, kind, m), interval in by_pass.items():
            if kind is Forward and part > 0:
                assert interval.start >= by_pass[part - 1, Forward, m].end + 1
            if kind is Backward and part < S - 1:
                assert interval.start >= by_pass[part + 1, Backward, m].end + 1
            if kind is Backward:
                assert interval.start >= by_pass[part, Forward, m].end
        for stage in range(schedule.stages):
            own = [i for i in timeline.intervals if i.stage == stage]
            assert all(a.end == b.start for a, b in pairwise(own))

    def test_a_measured_timeline_begins_when_the_first_stage_does(self):
        timeline = Timeline(2, (Interval(0, Forward(0), 5.0, 6.0), Interval(1, Forward(0), 6.5, 9.0)))
        assert (timeline.start, timeline.makespan) == (5.0, 4.0)
        assert timeline.idle_shares == (0.75, 0.375)


def test_a_few_idle_shares():
    """(p - 1) / (v m + p - 1): 1 of 9, 3 of 11; with v = 2, 1 of 17; with one microbatch all but one stage."""
    assert idle_share(2, 8) == pytest.approx(1 / 9)
    assert idle_share(4, 8) == pytest.approx(3 / 11)
    assert idle_share(2, 8, chunks=2) == pytest.approx(1 / 17)
    assert idle_share(4, 1) == 0.75
    assert idle_share(1, 3) == 0


class TestByName:
    def test_all(self):
        assert make_pipeline_schedule("gpipe", 2, microbatches=3) == gpipe(2, 3)
        assert make_pipeline_schedule("1F1B", 2, microbatches=3) == one_f_one_b(2, 3)
        assert make_pipeline_schedule("interleaved", 2, microbatches=4, chunks=2) == interleaved(2, 4, 2)
        assert make_pipeline_schedule("model-parallel", 2) == model_parallel(2)

    def test_unknown(self):
        with pytest.raises(InputError, match="unknown pipeline schedule 'zero'; there are: 1F1B, GPipe"):
            make_pipeline_schedule("zero", 2)

    def test_options_that_do_not_fit(self):
        with pytest.raises(InputError, match=r"1F1B: .*'chunks'"):
            make_pipeline_schedule("1F1B", 2, microbatches=4, chunks=2)
        with pytest.raises(InputError, match=r"GPipe: missing .*'microbatches'"):
            make_pipeline_schedule("GPipe", 2)


class TestRefusals:
    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: gpipe(0, 4), "gpipe: stages must be an integer of at least 1, got 0"),
            (lambda: one_f_one_b(2, 0), "one_f_one_b: microbatches must be an integer of at least 1, got 0"),
            (lambda: one_f_one_b(2, 1.5), "one_f_one_b: microbatches must be an integer"),
            (lambda: interleaved(2, 3, 2), "microbatches must be a multiple of the 2 stages, got 3"),
            (lambda: interleaved(2, 4, 1), "interleaved: chunks must be an integer of at least 2, got 1"),
            (lambda: simulate(gpipe(2, 2), (1, 2, 3)), "must be one number, or one for each of 2 parts"),
            (lambda: simulate(gpipe(2, 2), -1), "forward_time must be a finite number >= 0"),
        ],
    )
    def test_arguments(self, make, message):
        with pytest.raises(InputError, match=message):
            make()

    @pytest.mark.parametrize(
        ("work", "message"),
        [
            (((Forward(0), Backward(0)),) * 2, "stage 0 lacks forward .* \\[\\(0, 1\\)\\]"),
            (((Forward(0), Forward(1), Backward(1)),) * 2, "stage 0 lacks backward .* \\[\\(0, 0\\)\\]"),
            (((Forward(0), Forward(0)),) * 2, r"stage 0 cannot do Forward\(0\) there, or not again"),
            (((Backward(0), Forward(0)),) * 2, r"stage 0 cannot do Backward\(0\) there"),
            (((Forward(0), Forward(2)),) * 2, r"stage 0 cannot do Forward\(2\) there"),
            (((Forward(0, chunk=1),),) * 2, r"stage 0 cannot do Forward\(0, chunk=1\) there"),
            ((gpipe(1, 2).work[0],), "2 stages need as many lists, got 1"),
        ],
    )
    def test_an_order_of_ones_own_that_is_none(self, work, message):
        with pytest.raises(InputError, match=message):
            PipelineSchedule("mine", 2, 2, 1, work)

    def test_stages_that_wait_for_each_other(self):
        """Stage 1 wants microbatch 1 first, which stage 0 does not send before it has gradient 0."""
        one, other = (0, 1), (1, 0)
        work = tuple(tuple(kind(m) for m in order for kind in (Forward, Backward)) for order in (one, other))
        schedule = PipelineSchedule("mine", 2, 2, 1, work)
        with pytest.raises(
            InputError,
            match=r"schedule mine cannot be completed: stage 0 in ReceiveGradients\(0\), "
            r"stage 1 in ReceiveActivations\(1\) would wait for ever",
        ):
            simulate(schedule)

    def test_an_order_of_ones_own_may_be_any_that_works(self):
        work = ((Forward(1), Forward(0), Backward(1), Backward(0)),) * 2
        assert simulate(PipelineSchedule("mine", 2, 2, 1, work), 1, 2).makespan == 9
