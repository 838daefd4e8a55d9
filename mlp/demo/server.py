"""Serves the page to this computer alone, and answers its drawings. Standard library, one file of HTML."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError
from mlp.demo.drawing import Bytes, as_drawn, like_mnist
from mlp.demo.reader import Reader

HOST, PORT = "127.0.0.1", 8765
NAMES = (HOST, "localhost")
TRIED = 20  # ports after the first, if that is taken
CANVAS = 280  # the page's drawing has so many rows and columns
SECONDS = 10  # that a visitor may take for a request
# The page may use what stands in it and speak to its server: nothing from elsewhere, and nobody frames it.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Server(ThreadingHTTPServer):
    """Answers on the loopback interface; ``url`` is where. ``close`` ends it."""

    daemon_threads = True

    def __init__(self, reader: Reader, origin: str, port: int) -> None:
        super().__init__((HOST, port), Handler)
        self.reader, self.origin = reader, origin
        self.turn = threading.Lock()  # one network, one drawing at a time
        self.page = files("mlp.demo").joinpath("page.html").read_bytes()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A visitor who has left is no error worth a traceback."""


class Handler(BaseHTTPRequestHandler):
    """One visitor: GET / is the page, GET /network what is known of the network, POST /read reads a drawing."""

    server: Server
    timeout = SECONDS
    server_version, sys_version = "mlp", ""

    def do_GET(self) -> None:
        if not self._is_welcome():
            return
        if self.path == "/":
            self._send(self.server.page, "text/html; charset=utf-8")
        elif self.path == "/network":
            network = self.server.reader.network
            about = {"origin": self.server.origin, "layers": [repr(layer) for layer in network.layers]}
            self._send_json({**about, "classes": self.server.reader.classes, "canvas": CANVAS})
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "there is /, /network and /read")

    def do_POST(self) -> None:
        if not self._is_welcome():
            return
        if self.path not in ("/read", "/read?as=drawn"):
            self._refuse(HTTPStatus.NOT_FOUND, "drawings go to /read")
        elif self.headers.get("Content-Type") != "application/octet-stream":
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "a drawing is application/octet-stream")
        elif self.headers.get("Content-Length") != str(CANVAS**2):
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a drawing has {CANVAS**2} bytes")
        else:
            body = self.rfile.read(CANVAS**2)
            if len(body) == CANVAS**2:
                self._send_json(self._read(np.frombuffer(body, np.uint8).reshape(CANVAS, CANVAS)))

    def _read(self, drawing: Bytes) -> dict[str, Any]:
        picture = as_drawn(drawing) if self.path.endswith("drawn") else like_mnist(drawing)
        with self.server.turn:
            reading = self.server.reader.read(picture)
        return {
            "is_empty": not picture.any(),
            "picture": base64.b64encode(picture.tobytes()).decode("ascii"),
            "probabilities": _rounded(reading.probabilities),
            "best": reading.best,
            "score": _rounded(np.array(reading.score))[0],
            "empty_score": _rounded(np.array(reading.empty_score))[0],
            "contributions": _rounded(reading.contributions),
            "hidden": [{"name": h.name, "values": _rounded(h.values), "units": h.units} for h in reading.hidden],
        }

    def _is_welcome(self) -> bool:
        """Only pages of this server may speak to it: not those of other sites, also if their name leads here."""
        hosts = {f"{name}:{self.server.server_port}" for name in NAMES}
        origin = self.headers.get("Origin")
        if self.headers.get("Host") in hosts and origin in {None, *(f"http://{host}" for host in hosts)}:
            return True
        self._refuse(HTTPStatus.FORBIDDEN, f"only {self.server.url} may ask")
        return False

    def _send_json(self, content: dict[str, Any]) -> None:
        self._send(json.dumps(content, allow_nan=False).encode(), "application/json")

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self._send(f"{reason}\n".encode(), "text/plain; charset=utf-8", status)

    def _send(self, content: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": len(content), "Cache-Control": "no-store",
                   "Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff",
                   "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin"}  # fmt: skip
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nobody wants a line for each stroke."""


def _rounded(values: Array) -> list[float]:
    """Numbers for the page: four digits do, and what is not finite is nothing JSON knows."""
    return [float(f"{value:.4g}") for value in np.nan_to_num(values).ravel()]


def open_server(reader: Reader, origin: str, port: int | None = None) -> Server:
    """A server on ``port``, or on the first free one from 8765 on. Raises ``InputError`` if there is none."""
    ports = range(PORT, PORT + TRIED) if port is None else [port]
    for candidate in ports:
        try:
            return Server(reader, origin, candidate)
        except OSError as error:
            reason = error.strerror or str(error)
    raise InputError(f"--port: {ports[0]} cannot be had ({reason}); accepted: a free port, 0 for any")


def serve(server: Server, say: Callable[[str], None]) -> None:
    """Answer until Ctrl-C, then close."""
    say(f"draw a digit at {server.url}   (Ctrl-C ends this)")
    try:
        server.serve_forever(poll_interval=0.1)
    except KeyboardInterrupt:
        say("\nended")
    finally:
        server.server_close()
