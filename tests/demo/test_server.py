"""The page is served to this computer alone, whatever is sent to it; the command ends cleanly."""

import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest
from running import PROJECT

import mlp
from mlp import InputError, Linear, Network, ReLU
from mlp.demo.choose import choose, newest, train_small
from mlp.demo.reader import Reader
from mlp.demo.server import CANVAS, open_server

SCRIPT = PROJECT / "scripts" / "demo.py"
BINARY = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module")
def server():
    network = Network(Linear(784, 8), ReLU(), Linear(8, 3), rng=0, classes=["cat", "dog", "eel"])
    server = open_server(Reader(network), "a test", 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def ask(server, method="GET", path="/", body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def drawing() -> bytes:
    canvas = np.zeros((CANVAS, CANVAS), np.uint8)
    canvas[100:200, 50:60] = 255
    return canvas.tobytes()


class TestAnswers:
    def test_the_page_asks_for_nothing_from_elsewhere(self, server):
        answer, page = ask(server)
        assert answer.status == 200
        text = page.decode()
        assert re.findall(r"(?:src|href)\s*=\s*\"(?!data:)[^\"]*", text) == []
        assert "://" not in text
        policy = answer.getheader("Content-Security-Policy")
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy

    def test_about_the_network(self, server):
        about = json.loads(ask(server, path="/network")[1])
        assert about == {
            "origin": "a test", "layers": ["Linear(784, 8)", "ReLU()", "Linear(8, 3)"],
            "classes": ["cat", "dog", "eel"], "canvas": CANVAS,
        }  # fmt: skip

    def test_a_drawing(self, server):
        answer, content = ask(server, "POST", "/read", drawing(), **BINARY)
        assert answer.status == 200
        reading = json.loads(content)
        assert sum(reading["probabilities"]) == pytest.approx(1, abs=1e-3)
        assert reading["best"] == int(np.argmax(reading["probabilities"]))
        assert len(reading["contributions"]) == 784
        assert [(h["units"], len(h["values"])) for h in reading["hidden"]] == [(8, 8)]
        assert not reading["is_empty"]

    def test_a_drawing_as_it_is(self, server):
        centred, drawn = (
            json.loads(ask(server, "POST", path, drawing(), **BINARY)[1]) for path in ("/read", "/read?as=drawn")
        )
        assert centred["picture"] != drawn["picture"]

    def test_an_empty_one(self, server):
        reading = json.loads(ask(server, "POST", "/read", bytes(CANVAS**2), **BINARY)[1])
        assert reading["is_empty"]
        assert not any(reading["contributions"])

    def test_a_network_that_diverged(self, server, monkeypatch):
        weights = server.reader.network.parameters.data
        before = weights.copy()
        weights[:] = np.nan
        try:
            answer, content = ask(server, "POST", "/read", drawing(), **BINARY)
        finally:
            weights[:] = before
        assert answer.status == 200
        assert json.loads(content)["probabilities"] == [0, 0, 0]


class TestRefuses:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "https://example.org"},
            {"Origin": "null"},
            {"Origin": "http://127.0.0.1:1"},
            {"Host": "example.org"},
            {"Host": "127.0.0.1:1"},
            {"Host": ""},
        ],
        ids=str,
    )
    @pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/network"), ("POST", "/read")])
    def test_other_origins(self, server, headers, method, path):
        body = drawing() if method == "POST" else None
        answer, content = ask(server, method, path, body, **headers, **(BINARY if body else {}))
        assert answer.status == 403
        assert content == f"only {server.url} may ask\n".encode()
        assert answer.getheader("Access-Control-Allow-Origin") is None

    def test_nobody_from_another_machine(self, server):
        assert server.server_address[0] == "127.0.0.1"

    @pytest.mark.parametrize(
        ("method", "path", "body", "headers", "status"),
        [
            ("GET", "/etc/passwd", None, {}, 404),
            ("GET", "/../scripts/demo.py", None, {}, 404),
            ("POST", "/", b"", {}, 404),
            ("POST", "/read", b"{}", {"Content-Type": "application/json"}, 415),
            ("POST", "/read", b"", BINARY, 413),
            ("POST", "/read", bytes(CANVAS**2 - 1), BINARY, 413),
            ("POST", "/read", bytes(CANVAS**2 + 1), BINARY, 413),
            ("PUT", "/read", b"", {}, 501),
        ],
    )
    def test_what_it_does_not_offer(self, server, method, path, body, headers, status):
        assert ask(server, method, path, body, **headers)[0].status == status

    @pytest.mark.parametrize("length", ["-1", "999999999999", "ten", f"{CANVAS**2} ", "0x10"])
    def test_lengths_that_lie(self, server, length):
        """Refused before anything is read: a drawing that never comes costs nothing."""
        request = f"POST /read HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n"
        request += f"Content-Type: application/octet-stream\r\nContent-Length: {length}x\r\n\r\n"
        with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as connection:
            connection.sendall(request.encode())
            assert b" 413 " in connection.recv(100)

    def test_a_visitor_who_leaves_disturbs_nobody(self, server, capfd):
        request = f"POST /read HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n"
        request += f"Content-Type: application/octet-stream\r\nContent-Length: {CANVAS**2}\r\n\r\n12"
        with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as connection:
            connection.sendall(request.encode())
        assert ask(server)[0].status == 200
        assert capfd.readouterr().err == ""

    def test_a_port_that_is_taken(self, server):
        with pytest.raises(InputError, match=f"--port: {server.server_port} cannot be had"):
            open_server(server.reader, "", server.server_port)


class TestChoice:
    def test_the_folder_of_a_run_its_checkpoint_and_the_newest(self, done, tmp_path):
        expected = mlp.load(done / "checkpoint.npz").parameters.data
        for given in (done, done / "checkpoint.npz"):
            np.testing.assert_array_equal(choose(given, print).network.parameters.data, expected)
        assert newest(tmp_path / "runs") is None
        for name in ("b", "a"):
            shutil.copytree(done, tmp_path / "runs" / name, copy_function=shutil.copy)
        assert newest(tmp_path / "runs").name == "a"
        assert choose(None, print, tmp_path / "runs").origin == str(tmp_path / "runs" / "a")

    def test_a_network_that_was_saved(self, tmp_path):
        network = Network(Linear(784, 10), rng=3)
        mlp.save(network, tmp_path / "net.npz")
        chosen = choose(tmp_path / "net.npz", print)
        np.testing.assert_array_equal(chosen.network.parameters.data, network.parameters.data)
        assert chosen.preprocessing is None

    @pytest.mark.parametrize(("name", "has_preprocessing"), [("plain", False), ("stateful", True)])
    def test_runs_of_earlier_versions(self, name, has_preprocessing, monkeypatch):
        monkeypatch.chdir(PROJECT / "tests" / "run" / "old_runs")
        chosen = choose(PROJECT / "tests" / "run" / "old_runs" / name, print)
        assert (chosen.preprocessing is not None) == has_preprocessing
        assert chosen.network.out_features == 3

    def test_a_small_network_learns(self, mnist):
        network = train_small(2000)
        assert (network.predict(mnist[1].inputs) == mnist[1].labels).mean() > 0.7


def run(*arguments, **options):
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


class TestCommand:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["nowhere.npz"], "demo.py: there is no checkpoint nowhere.npz"),
            (["--port", "99999"], "demo.py: --port: got 99999; accepted: 0 to 65535"),
            (["--port", "x"], "demo.py: argument --port: invalid int value: 'x' (see --help)"),
            (["a", "--checkpoint", "b"], "demo.py: got a and --checkpoint b; accepted: one of them"),
            ([str(SCRIPT)], f"demo.py: the checkpoint {SCRIPT} is damaged"),
        ],
    )
    def test_bad_input_is_one_line(self, arguments, message, tmp_path):
        done = run(*arguments, cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert done.stderr.startswith(message)

    def test_ctrl_c_ends_it(self, tmp_path):
        mlp.save(Network(Linear(784, 10), rng=0), tmp_path / "net.npz")
        command = [sys.executable, str(SCRIPT), str(tmp_path / "net.npz"), "--port", "0", "--no-browser"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            lines = [process.stdout.readline(), process.stdout.readline()]
            port = int(re.search(r"http://127\.0\.0\.1:(\d+)/", lines[1])[1])
            with socket.create_connection(("127.0.0.1", port), timeout=20):  # a visitor who says nothing
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=20)
        assert (process.returncode, out.strip(), err) == (0, "ended", "")
