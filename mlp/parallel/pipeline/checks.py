"""What has to fit before a batch goes through a pipeline: the schedule to the ranks, the arrays to each other."""

from __future__ import annotations

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError
from mlp.parallel.calls import MAX_TAG
from mlp.parallel.communicator import Communicator
from mlp.parallel.pipeline.instructions import PipelineSchedule
from mlp.parallel.pipeline.timeline import simulate


def check_lengths(samples: int, **arrays: Array | None) -> None:
    """Raise ``InputError`` unless each array has one entry for each sample."""
    for name, array in arrays.items():
        if array is not None and np.shape(array)[:1] != (samples,):
            raise InputError(f"Pipeline: {samples} samples need as many {name}, got shape {np.shape(array)}")


def check_schedule(schedule: PipelineSchedule, communicator: Communicator) -> PipelineSchedule:
    """Raise ``InputError`` unless so many ranks can train by this schedule."""
    where = f"Pipeline: schedule {schedule.name}"
    if schedule.stages != communicator.size:
        raise InputError(f"{where} is for {schedule.stages} stages, there are {communicator.size} ranks")
    if not schedule.is_training:
        raise InputError(f"{where} has no backward passes")
    if 2 * schedule.parts * schedule.microbatches > MAX_TAG:
        raise InputError(
            f"{where} has {schedule.parts} parts and {schedule.microbatches} microbatches: too many to number"
        )
    simulate(schedule)  # can it be completed?
    return schedule
