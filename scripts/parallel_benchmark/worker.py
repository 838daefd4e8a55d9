"""A rank, or the only one, that trains when it is told to. Between two slices it waits for a line, at no cost.

    python -m parallel_benchmark.worker SOCKET serial
    python -m mlp.parallel.launch -n 2 -m parallel_benchmark.worker SOCKET

Requests and answers are lines of JSON, over a connection of each rank to the process that measures.
"""

from __future__ import annotations

import json
import math
import socket
import sys
import time
from dataclasses import asdict
from typing import Any

from mlp.parallel import Communicator, MPICommunicator, SerialCommunicator
from mlp.parallel.pipeline.instructions import Backward, Forward, OptimizerStep
from mlp.studies.cost.measure import measure_machine
from parallel_benchmark import PROBLEMS, contenders
from parallel_benchmark.contestants import Contestant, build

FIRST_STEPS = 3


class Worker:
    """Answers requests about one contender at a time."""

    def __init__(self, communicator: Communicator) -> None:
        self.communicator = communicator
        self.contestant: Contestant | None = None

    def measure_machine(self, widths: list[int], rows: list[int]) -> dict[str, Any]:
        """The numbers of the cost model's machine."""
        processor, begin = time.process_time(), time.perf_counter()
        measured = asdict(measure_machine(self.communicator, widths, rows))
        times = {"seconds": time.perf_counter() - begin, "processor_seconds": time.process_time() - processor}
        return times | {"machine": {k: value for k, value in measured.items() if value not in (None, math.inf)}}

    def build(self, problem: str, contender: str) -> dict[str, Any]:
        """Make a contender, and let it take its first steps, of which it tells the losses."""
        self.contestant = None  # its memory is free before the next one needs some
        chosen = next(c for c in contenders(PROBLEMS[problem]) if c.name == contender)
        self.contestant = build(PROBLEMS[problem], chosen, self.communicator)
        losses = [self.contestant.step() for _ in range(FIRST_STEPS)]
        self.communicator.counts.clear()
        self.contestant.step()
        wire = self.communicator.counts.wire_bytes
        return {"losses": losses, "wire_bytes": wire, "bytes_held": self.contestant.held()}

    def slice(self, steps: int, warm_up: int) -> dict[str, Any]:
        """Seconds for so many steps, from the moment at which all ranks are ready."""
        assert self.contestant is not None
        for _ in range(warm_up):
            self.contestant.step()
        self.communicator.barrier()
        processor, begin = time.process_time(), time.perf_counter()
        for _ in range(steps):
            self.contestant.step()
        times = {"seconds": time.perf_counter() - begin, "processor_seconds": time.process_time() - processor}
        return times | self.timeline()

    def timeline(self) -> dict[str, Any]:
        """What the stages of a pipeline did in the last step, and what a schedule makes of their times."""
        assert self.contestant is not None
        pipeline = self.contestant.pipeline
        if pipeline is None:
            return {}
        intervals = [
            [i.stage, type(i.instruction).__name__, getattr(i.instruction, "microbatch", 0), i.start, i.end]
            for i in pipeline.timeline().intervals
            if isinstance(i.instruction, Forward | Backward | OptimizerStep)
        ]
        return {"intervals": intervals, "in_flight": pipeline.most_in_flight}


def main() -> None:
    communicator = SerialCommunicator() if sys.argv[2:] == ["serial"] else MPICommunicator.world()
    worker = Worker(communicator)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(sys.argv[1])
        with connection.makefile("rw", encoding="utf-8") as lines:
            print(json.dumps({"rank": communicator.rank}), file=lines, flush=True)
            for line in lines:
                request = json.loads(line)
                answer = getattr(worker, request.pop("call"))(**request)
                print(json.dumps(answer), file=lines, flush=True)


if __name__ == "__main__":
    main()
