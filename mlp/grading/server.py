"""A warm Python that forks a confined child for every component, so that NumPy is imported once and not each time.

Started by ``process.py`` as a script with the number of a socket. It never runs a line of a submission itself: it
forks a keeper, which takes the rights away and forks the child that does; the keeper then waits and cleans up.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import resource
import signal
import socket
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy.linalg
import numpy.random  # noqa: F401 - warm modules are the reason for this process

NEW_USER, NEW_FILES, NEW_PIDS, NEW_NETWORK, NEW_IPC = 0x10000000, 0x20000, 0x20000000, 0x40000000, 0x08000000
BIND, MOVE, RECURSIVE, PRIVATE = 4096, 8192, 16384, 1 << 18
DIE_WITH_PARENT, ADOPT_ORPHANS, NO_NEW_RIGHTS = 1, 36, 38


def load(*names: str) -> list[ModuleType]:
    """Files of this folder under their own names, without the rest of the library and without a trace of it."""
    for package in ("mlp", "mlp.grading"):
        sys.modules[package] = ModuleType(package)
        sys.modules[package].__path__ = [str(Path(__file__).parent)] if "." in package else []
    modules = [importlib.import_module(f"mlp.grading.{name}") for name in names]
    for name in [n for n in sys.modules if n.partition(".")[0] == "mlp"]:
        del sys.modules[name]
    return modules


channel, worker = load("channel", "worker")
libc = ctypes.CDLL(None, use_errno=True)


def serve(control: socket.socket) -> None:
    """Fork a keeper for every socket that arrives, until the grader closes its end."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # keepers are not waited for
    with contextlib.suppress(ImportError, OSError, RuntimeError):
        import pyseccomp  # noqa: F401 - warm
    while True:
        data, descriptors, _, _ = socket.recv_fds(control, 65536, 1)
        if not data:
            return
        task = json.loads(data)
        for name in task["warm"]:
            with contextlib.suppress(ImportError, OSError):
                importlib.import_module(name)
        if os.fork() == 0:
            control.close()
            with contextlib.suppress(BaseException):
                keep(socket.socket(fileno=descriptors[0]), task)
            os._exit(0)
        os.close(descriptors[0])


def keep(sock: socket.socket, task: dict[str, Any]) -> None:
    """Confine, fork the child, tell the grader its number and protection, wait, end what it left running."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    call(libc.prctl, ADOPT_ORPHANS, 1, 0, 0, 0)
    spaces = leave_namespaces()
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ready)
        protections = confine(task, spaces)
        os.write(tell, json.dumps(protections).encode())
        os.close(tell)
        run(sock, task)
    os.close(tell)
    with open(ready) as report:
        channel.send(sock, {"pid": child, "protections": json.loads(report.read() or "[]")})
    _, status = os.waitpid(child, 0)
    if not spaces:  # otherwise they ended with the first process of their namespace
        end_descendants()
    channel.send(sock, {"exit": os.waitstatus_to_exitcode(status)})


def call(function: Any, *arguments: Any) -> bool:
    """Did the system call succeed? Older systems lack some."""
    return bool(function(*arguments) == 0)


def leave_namespaces() -> bool:
    """Have files, network and processes of one's own: directly as root, in a user namespace otherwise."""
    if not hasattr(libc, "unshare"):
        return False
    everything = NEW_FILES | NEW_PIDS | NEW_NETWORK | NEW_IPC
    if os.getuid() == 0:
        return call(libc.unshare, everything)
    user, group = os.getuid(), os.getgid()
    if not call(libc.unshare, everything | NEW_USER):
        return False
    for name, text in ("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1"):
        with contextlib.suppress(OSError):
            Path(f"/proc/self/{name}").write_text(text)
    return True


def confine(task: dict[str, Any], spaces: bool) -> list[str]:
    """Give up rights, as far as the system lets us; the names of what is active."""
    active = ["a process of its own", "limits on time, memory, processes and file size"]
    reachable = True
    if spaces:
        active.append("no network")
        call(libc.mount, b"none", b"/", None, RECURSIVE | PRIVATE, None)
        reachable = open_way(Path(sys.base_prefix), task["folder"])
        if make_read_only(task["folder"].encode(), task["hide"].encode()):
            active.append("files read-only except its own folder")
        if call(libc.mount, b"proc", b"/proc", b"proc", 0, None):
            active.append("no sight of other processes")
    if os.getuid() == 0 and reachable and may_all_read(Path(sys.base_prefix)):
        os.setgroups([])
        os.setgid(task["user"])
        os.setuid(task["user"])
        active.append("a user without rights")
    if forbid_system_calls():
        active.append("a filter of system calls")
    return active


def may_all_read(path: Path) -> bool:
    """May every user go there?"""
    return all(p.stat().st_mode & 0o001 for p in (path, *path.parents))


def open_way(path: Path, aside: str) -> bool:
    """If Python lies in somebody's private folder, put an empty public one there with nothing but Python in it."""
    private = next((p for p in reversed(path.parents) if not p.stat().st_mode & 0o001), None)
    if private is None or os.getuid() != 0:
        return True
    place = Path(aside, ".python")
    place.mkdir(exist_ok=True)
    if not (
        call(libc.mount, str(path).encode(), str(place).encode(), None, BIND | RECURSIVE, None)
        and call(libc.mount, b"none", str(private).encode(), b"tmpfs", 0, b"size=64k,mode=755")
    ):
        return False
    path.mkdir(parents=True, exist_ok=True)
    return call(libc.mount, str(place).encode(), str(path).encode(), None, MOVE, None)


def make_read_only(folder: bytes, hide: bytes) -> bool:
    """Mount everything read-only, the folder writable, and something empty over the grader's own source."""

    class Attributes(ctypes.Structure):
        _fields_ = [(n, ctypes.c_uint64) for n in ("set", "clear", "propagation", "user")]

    def set_attributes(path: bytes, flags: int, put: int, clear: int) -> bool:
        attributes = Attributes(put, clear, 0, 0)
        return call(libc.syscall, 442, -100, path, flags, ctypes.byref(attributes), ctypes.sizeof(attributes))

    return (
        call(libc.mount, folder, folder, None, BIND | RECURSIVE, None)
        and (not os.path.isdir(hide) or call(libc.mount, b"none", hide, b"tmpfs", 0, b"size=4k"))
        and set_attributes(b"/", 0x8000, 1, 0)
        and set_attributes(folder, 0, 0, 1)
    )


def run(sock: socket.socket, task: dict[str, Any]) -> None:
    """The child: limits, then one answer for every request, until the grader hangs up."""
    call(libc.prctl, DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    call(libc.prctl, NO_NEW_RIGHTS, 1, 0, 0, 0)
    descriptor = os.dup2(sock.fileno(), 200, inheritable=False)
    sock.detach()
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.closerange(3, 200)
    os.closerange(201, 4096)
    os.chdir(task["folder"])
    limits = {
        resource.RLIMIT_CPU: task["seconds"] + 1, resource.RLIMIT_AS: task["memory"], resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: task["file_size"], resource.RLIMIT_NPROC: task["processes"],
          resource.RLIMIT_NOFILE: 256,
    }  # fmt: skip
    for which, value in limits.items():
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(which, (value, value))
    private = socket.socket(fileno=descriptor)
    hands, number = worker.Worker(), os.getpid()
    while True:
        try:
            request = channel.receive(private)
        except channel.Closed:
            os._exit(0)
        reply = hands.answer(request)
        if os.getpid() != number:  # a copy that the submission made of itself has nothing to say
            os._exit(0)
        try:
            channel.send(private, reply)
        except (TypeError, ValueError, OverflowError) as error:
            channel.send(private, {"error": worker.describe_error(error)})


def forbid_system_calls() -> bool:
    """With libseccomp: no sockets, no tracing, no mounts, no kernel modules; without it, nothing."""
    try:
        import pyseccomp as seccomp
    except (ImportError, OSError, RuntimeError):
        return False
    rules = seccomp.SyscallFilter(seccomp.ALLOW)
    names = (
        "socket ptrace process_vm_readv process_vm_writev mount umount2 unshare setns bpf init_module finit_module "
        "kexec_load keyctl perf_event_open userfaultfd io_uring_setup"
    )
    for name in names.split():
        with contextlib.suppress(OSError, ValueError):
            rules.add_rule(seccomp.ERRNO(1), name)
    rules.load()
    return True


def end_descendants() -> None:
    """Kill what the child left behind: orphans come to the keeper."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    for _ in range(100):
        with contextlib.suppress(OSError):
            for pid in children.read_text().split():
                os.kill(int(pid), signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
