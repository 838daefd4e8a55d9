"""The process that speaks to Weights & Biases for a run: orders in, one line of JSON each; one answer for each.

The only file that imports wandb. It is started as a script by ``tracking.py`` and imports nothing of mlp.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from typing import Any

# Seconds that wandb gets to find its server, before the run is recorded offline.
REACH = 5
# Seconds for the end of a run that was killed and cannot tell this process to go.
FAREWELL = 60


class Wandb:
    """One wandb run. Each method carries out an order and returns what else there is to answer."""

    def __init__(self) -> None:
        self.run: Any = None

    def start(self, mode: Any, config: dict[str, Any], **options: Any) -> list[dict[str, str]]:
        """Begin the run: online if there is a login and the server can be reached, else offline."""
        import wandb

        said = []
        # Silent and unverified, it asks no server: a stored key is enough. Without one, init would ask for it.
        if mode != "offline" and not wandb.login(prompt=False, verify=False):
            if mode == "online":
                said.append({"warning": "no login is stored (see wandb login), so this run is recorded offline"})
            mode = "offline" if mode in ("", "online") else mode
        settings = wandb.Settings(console="off", init_timeout=REACH, finish_timeout=FAREWELL)
        try:
            self.run = wandb.init(
                **options, config=config, mode=mode or None, settings=settings,
                resume="allow" if mode == "online" else None,
            )  # fmt: skip
        except Exception as error:
            if mode == "offline":
                raise
            reason = " ".join(str(error).split())
            said.append({"warning": f"cannot be online ({reason}), so this run is recorded offline"})
            wandb.teardown(exit_code=1)  # its service would say that a run of this id is under way
            self.run = wandb.init(**options, config=config, mode="offline", settings=settings)
        self.run.define_metric("step")
        self.run.define_metric("*", step_metric="step")
        return [*said, *([] if self.run.offline else [{"url": self.run.url}])]

    def log(self, row: dict[str, Any]) -> list[dict[str, str]]:
        """Record a row."""
        self.run.log(row)
        return []

    def finish(self, summary: dict[str, Any], image: str | None) -> list[dict[str, str]]:
        """Record the final numbers and the curves, and end the run."""
        import wandb

        self.run.summary.update(summary)
        if image is not None:
            self.run.log({"curves": wandb.Image(image), "step": summary["step"]})
        self.run.finish(exit_code=0 if summary["status"] == "completed" else 1)
        self.run = None
        wandb.teardown()
        return []


def main() -> None:
    """Carry out orders until there are no more. What wandb prints is nobody's; what it raises ends the process."""
    answers = os.dup(1)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.environ["WANDB_SILENT"] = "true"
    mirror, order = Wandb(), "start"
    try:
        for line in sys.stdin:
            if not line.endswith("\n"):  # the run was killed while it wrote this one
                break
            details = json.loads(line)
            order = details.pop("order")
            for answer in [*getattr(mirror, order)(**details), {"done": order}]:
                tell(answers, answer)
    except BaseException as error:  # SystemExit as well: wandb may raise what it wants
        reason = str(error) or type(error).__name__
        tell(answers, {"failed": order, "reason": reason})
        os._exit(1)  # without what wandb would do, and print, at the end of Python
    if mirror.run is not None:
        signal.alarm(FAREWELL)
        mirror.run.finish(exit_code=1)
    os._exit(0)


def tell(answers: int, answer: dict[str, str]) -> None:
    """Answer the run, unless it was killed."""
    with suppress(OSError):
        os.write(answers, json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    main()
