"""The process in which one contender runs: it does nothing until it is told to run a slice.

    python -m benchmark_contenders.worker CONTENDER SETTING_AS_JSON

Requests come as lines of JSON on standard input, answers leave as lines of JSON on standard output.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from benchmark_contenders import CONTENDERS, Step, Unsupported

GUARD_STEPS = 20


def main() -> None:
    # The answers keep standard output for themselves; what a library prints goes to standard error.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(message: dict[str, Any]) -> None:
        print(json.dumps(message), file=answers, flush=True)

    from benchmark_contenders.problem import Problem, Setting

    name, options = sys.argv[1], json.loads(sys.argv[2])
    options["sizes"] = tuple(options["sizes"])
    try:
        step = CONTENDERS[name].build(Problem(Setting(**options)))
        first_steps = [step() for _ in range(GUARD_STEPS)]
    except Unsupported as reason:
        answer({"unsupported": str(reason)})
        return
    except Exception as error:  # whatever goes wrong in another library: the report names it
        message = str(error).strip().splitlines() or [""]
        answer({"failed": f"{type(error).__name__}: {message[0]}"})
        raise
    answer({"losses": [loss for loss, _ in first_steps], "accuracies": [a for _, a in first_steps], "blas": blas()})
    for line in sys.stdin:
        answer(time_slice(step, **json.loads(line)))


def time_slice(step: Step, steps: int, warm_up: int) -> dict[str, float]:
    """Wall-clock and processor time of ``steps`` iterations, after ``warm_up`` more to fill the caches again."""
    for _ in range(warm_up):
        step()
    processor, begin = time.process_time(), time.perf_counter()
    for _ in range(steps):
        step()
    return {"seconds": time.perf_counter() - begin, "processor_seconds": time.process_time() - processor}


def blas() -> list[str]:
    """The BLAS libraries loaded here, with the processor family whose kernels they run."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return []
    return [
        f"{library['internal_api']} {library['version']}, {library.get('architecture', 'unknown')} kernels, "
        f"{library['num_threads']} thread"
        for library in threadpool_info()
        if library["user_api"] == "blas"
    ]


if __name__ == "__main__":
    main()
