"""The grader's end of a child process: requests with a time limit, and what became of a child that is silent."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mlp.grading import channel
from mlp.grading.worker import Worker

USERS = itertools.count(500_000 + os.getpid() % 50_000 * 100)  # numbers that nobody has


@dataclass(frozen=True)
class Limits:
    """What one component may use: seconds in all, bytes of memory, processes and threads, bytes a file."""

    seconds: float = 10.0
    memory: int = 2 * 2**30
    processes: int = 32
    file_size: int = 16 * 2**20


class StudentError(Exception):
    """The submission raised; ``details`` has type, message, file and line."""

    def __init__(self, details: dict[str, Any]) -> None:
        self.details = details
        where = f" ({details['file']}, line {details['line']})" if details.get("file") else ""
        super().__init__(f"{details.get('type')}: {details.get('message')}{where}")

    @property
    def unfinished(self) -> bool:
        """Was it ``raise NotImplementedError``?"""
        return self.details.get("type") == "NotImplementedError"


class Broken(Exception):
    """There is no child any more: it ended, was too slow, or sent rubbish. The text says which."""


class Child(Protocol):
    """Whoever answers requests about the objects of a submission."""

    protections: list[str]

    def request(self, do: str, **arguments: Any) -> Any:
        """The answer. Raises ``StudentError`` or ``Broken``."""

    def close(self) -> None:
        """End it."""


class Server:
    """The warm Python of ``server.py``; started when first needed, started again if something ended it."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.control: socket.socket | None = None

    def open(self, folder: Path, limits: Limits, warm: Sequence[str] = ()) -> SandboxedChild:
        """A new child with the folder as its working directory. Raises ``Broken`` if none can be started.

        warm: installed modules that the submission needs and that take long to import: they are imported once.
        """
        user = next(USERS)
        task = {
            "folder": str(folder), "hide": str(Path(__file__).parents[1]), "user": user,
            "memory": limits.memory, "seconds": int(limits.seconds) + 1, "processes": limits.processes,
            "file_size": limits.file_size, "warm": list(warm),
        }  # fmt: skip
        if os.getuid() == 0:
            give_away(folder, user)
        reason = ""
        for _ in range(2):
            ours, theirs = socket.socketpair()
            try:
                with theirs:
                    socket.send_fds(self.start(), [json.dumps(task).encode()], [theirs.fileno()])
                return SandboxedChild(ours, channel.receive(ours, time.monotonic() + 20), limits)
            except (OSError, channel.Closed, channel.Late) as error:
                reason = str(error) or type(error).__name__
                ours.close()
                self.close()
        raise Broken(f"no child process could be started ({reason})")

    def start(self) -> socket.socket:
        """The socket to the server, which runs when this returns."""
        if self.control is None or self.process is None or self.process.poll() is not None:
            self.close()
            self.control, theirs = socket.socketpair()
            keep = (
                "PATH",
                "LANG",
                "LC_ALL",
                "LD_LIBRARY_PATH",
                "OPENBLAS_CORETYPE",
                "OPENBLAS_L2_SIZE",
                "VIRTUAL_ENV",
            )
            environment = {k: os.environ[k] for k in keep if k in os.environ}
            environment |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
            environment |= {"MPLBACKEND": "Agg", "HOME": "/tmp", "PYTHONDONTWRITEBYTECODE": "1"}
            script = str(Path(__file__).with_name("server.py"))
            command = [sys.executable, "-I", "-B", "-W", "ignore", script, str(theirs.fileno())]
            self.process = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                env=environment,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            theirs.close()
        return self.control

    def close(self) -> None:
        """End the server. Its children end with their sockets."""
        if self.control is not None:
            self.control.close()
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.control = self.process = None


class SandboxedChild:
    """A confined child process that holds the objects of one component."""

    def __init__(self, sock: socket.socket, hello: dict[str, Any], limits: Limits) -> None:
        self.sock, self.pid, self.limits = sock, int(hello["pid"]), limits
        self.protections: list[str] = hello["protections"]
        self.deadline = time.monotonic() + limits.seconds
        self.broken: str | None = None

    def request(self, do: str, **arguments: Any) -> Any:
        """The answer to one request."""
        if self.broken:
            raise Broken(self.broken)
        try:
            channel.send(self.sock, {"do": do, **arguments})
            reply = channel.receive(self.sock, self.deadline)
        except channel.Late:
            self.end(f"it did not finish within {self.limits.seconds:g} seconds")
        except (OSError, channel.Closed):
            reply = self.last_words()
        except channel.Garbled as error:
            self.end(f"it interfered with the grader's channel ({error})")
        if not isinstance(reply, dict) or not reply.keys() & {"value", "error", "exit"}:
            self.end("it interfered with the grader's channel")
        if "exit" in reply:
            self.end(describe_exit(reply["exit"]))
        if "error" in reply:
            raise StudentError(reply["error"])
        return reply["value"]

    def last_words(self) -> Any:
        """What the keeper says when the child is gone."""
        with contextlib.suppress(OSError, channel.Closed, channel.Late, channel.Garbled):
            return channel.receive(self.sock, time.monotonic() + 1)
        return {"exit": None}

    def end(self, reason: str) -> None:
        """Kill the child and say why from now on."""
        self.broken = reason
        self.close()
        raise Broken(reason)

    def close(self) -> None:
        """Kill the child and wait until the keeper has cleaned up."""
        with contextlib.suppress(OSError):
            os.kill(self.pid, signal.SIGKILL)
        deadline = time.monotonic() + 2
        with contextlib.suppress(channel.Closed, channel.Late, channel.Garbled, OSError):
            while True:
                channel.receive(self.sock, deadline)
        self.sock.close()


def describe_exit(status: Any) -> str:
    """How a process ended, in words."""
    if not isinstance(status, int):
        return "its process ended without a result"
    if status >= 0:
        return f"its process ended with exit status {status} and without a result"
    if -status == signal.SIGXCPU:
        return "it used more processor time than allowed"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = str(-status)
    return f"its process was ended by the signal {name} and left no result"


def give_away(folder: Path, user: int) -> None:
    """Let the child's user write in the folder, and nobody else's."""
    os.chown(folder, user, user)
    for entry in folder.rglob("*"):
        os.chown(entry, user, user, follow_symlinks=False)


class LocalChild:
    """The same answers from this very process: for code that you trust, and without any limit."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.worker, self.protections = folder, Worker(), ["none: run in the grader's own process"]
        self.modules, self.path = set(sys.modules), list(sys.path)

    def request(self, do: str, **arguments: Any) -> Any:
        """The answer to one request, its arrays copied on both ways as a channel would."""
        if do == "load":
            sys.path[:0] = arguments.pop("paths")
            arguments["paths"] = []
        reply = self.worker.answer(copied({"do": do, **arguments}))
        if "error" in reply:
            raise StudentError(reply["error"])
        return copied(reply["value"])

    def close(self) -> None:
        """Forget the modules of the submission, so that the next may have the same names."""
        sys.path[:] = self.path
        for name in set(sys.modules) - self.modules:
            if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(self.folder)):
                del sys.modules[name]
        sys.path_importer_cache.pop(str(self.folder), None)


def copied(value: Any) -> Any:
    """Plain data with every array copied, tuples as lists, as after a channel."""
    if isinstance(value, dict):
        return {k: copied(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [copied(v) for v in value]
    return value.copy() if hasattr(value, "dtype") else value


def remove(folder: Path) -> None:
    """Delete a temporary folder, whatever the submission did to its rights."""
    shutil.rmtree(folder, ignore_errors=True)
