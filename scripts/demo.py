#!/usr/bin/env python3
"""Draw a digit and watch a network read it: python scripts/demo.py [CHECKPOINT or FOLDER OF A RUN]

Without one, the newest run under runs/ reads; without any run, a small network is trained first.
"""

from __future__ import annotations

import argparse
import os
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

# One drawing is too small to share among threads. Has to be set before NumPy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from mlp.checks import InputError
from mlp.demo.choose import choose
from mlp.demo.reader import Reader
from mlp.demo.server import open_server, serve
from mlp.solver.screen import say


class Parser(argparse.ArgumentParser):
    """Answers a wrong argument with one line and exit status 2."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(2, f"{self.prog}: {message} (see --help)\n")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options. Raises ``InputError`` for a port that is none."""
    parser = Parser(prog="demo.py", description=(__doc__ or "").partition(":")[0], allow_abbrev=False)
    parser.add_argument("network", nargs="?", type=Path, help="a checkpoint, or the folder of a run")
    parser.add_argument("--checkpoint", type=Path, help="the same")
    parser.add_argument("--port", type=int, help="where to serve; 0 for any free port (default: from 8765 on)")
    parser.add_argument("--no-browser", action="store_true", help="only say where the page is")
    options = parser.parse_args(arguments)
    if options.port is not None and not 0 <= options.port <= 65535:
        raise InputError(f"--port: got {options.port}; accepted: 0 to 65535")
    if options.network is not None and options.checkpoint is not None:
        raise InputError(f"got {options.network} and --checkpoint {options.checkpoint}; accepted: one of them")
    return options


def has_screen() -> bool:
    """Whether a browser that is opened here would be seen."""
    return sys.platform in ("win32", "darwin") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )


def main(arguments: Sequence[str]) -> int:
    """Serve until Ctrl-C and return the exit status: 0 ended, 2 bad input."""
    try:
        options = parse(arguments)
        chosen = choose(options.network or options.checkpoint, say)
        server = open_server(Reader(chosen.network, chosen.preprocessing), chosen.origin, options.port)
    except InputError as error:
        print(f"demo.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    say(f"network: {chosen.origin}")
    if has_screen() and not options.no_browser:
        webbrowser.open(server.url)
    serve(server, say)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
