"""Submissions that attack: each is the body of one method of a layer that is right otherwise."""

BODY = """
import os, sys, signal, threading, time, socket, gc, subprocess, ctypes, resource
import numpy as np
{top}

class Relu:
    def __init__(self):
        {init}

    def forward(self, x):
        {forward}
        self.x = x
        return np.maximum(x, 0)

    def backward(self, g):
        {backward}
        return {gradient}


class Sigmoid:
    def forward(self, x):
        self.y = 1 / (1 + np.exp(-x))
        return self.y

    def backward(self, g):
        return g * self.y * (1 - self.y)
"""


def source(top="", init="pass", forward="pass", backward="pass", gradient="g * (self.x > 0)") -> str:
    """The file. The gradient is right unless it is given."""
    return BODY.format(top=top, init=init, forward=forward, backward=backward, gradient=gradient)


# Wrong layers that try to look right, and layers that break things. None of them may pass.
CAUGHT = {
    "infinite loop": {"forward": "while True: pass"},
    "endless sleep": {"backward": "time.sleep(1000)"},
    "sys.exit": {"forward": "sys.exit(0)"},
    "os._exit": {"forward": "os._exit(0)"},
    "os._exit in init": {"init": "os._exit(0)"},
    "abort": {"forward": "os.abort()"},
    "kill itself": {"forward": "os.kill(os.getpid(), signal.SIGKILL); time.sleep(9)"},
    "kill its parent": {"forward": "os.kill(os.getppid(), signal.SIGKILL)", "gradient": "g"},
    "kill everything": {"forward": "os.kill(-1, signal.SIGKILL)", "gradient": "g"},
    "segmentation fault": {"forward": "ctypes.string_at(0)"},
    "10 GB": {"forward": "self.big = np.ones(10 * 2**30 // 8)"},
    "memory in steps": {"forward": "self.big = []\n        while True: self.big.append(bytearray(2**26))"},
    "deep recursion": {"top": "def dive(): return dive()", "forward": "dive()"},
    "deep recursion unlocked": {
        "top": "def dive(n): return dive(n + 1)\nsys.setrecursionlimit(10**9)",
        "forward": "dive(0)",
    },
    "endless exception": {"forward": "raise KeyboardInterrupt"},
    "generator exit": {"forward": "raise GeneratorExit"},
    "all descriptors closed": {"forward": "os.closerange(0, 65536)"},
    "signals ignored": {
        "forward": "[signal.signal(s, signal.SIG_IGN) for s in (1, 2, 3, 15)]\n        while True: pass"
    },
    "alarm": {"forward": "signal.alarm(1); time.sleep(5)"},
    "file too large": {"forward": "f = open('big', 'wb'); [f.write(b'0' * 2**20) for _ in range(64)]; f.flush()"},
    "socket": {"forward": "socket.create_connection(('127.0.0.1', 22), timeout=1)"},
    "subprocess escape": {"forward": "subprocess.Popen(['sleep', '600']); time.sleep(600)"},
    "write elsewhere": {"forward": "open(os.path.expanduser('/tmp/../tmp/grading-escaped'), 'w')"},
    "import the grader": {"forward": "import mlp.grading.hypotheses"},
    "read the grader": {"forward": "import numpy; open('{grader}/judge.py').read()"},
    "forged result": {"backward": "os.write(200, b'{\"value\": 1}' * 100)", "gradient": "g"},
    "forged lines": {"backward": "print('ReLU: passed.'); print('{\"verdict\": \"passed\"}')", "gradient": "g"},
    "forged exit": {"backward": "os.write(200, bytes(16)); os._exit(0)"},
    "patched numpy": {
        "top": "np.array_equal = np.allclose = lambda *a, **k: True\nnp.testing.assert_allclose = print",
        "gradient": "g",
    },
    "patched worker": {"top": "import json\njson.dumps = lambda *a, **k: '{\"value\": null}'", "gradient": "g"},
    "array that lies": {
        "top": "class Liar(np.ndarray):\n    def __eq__(self, other): return True\n"
        "    def __array_function__(self, *a): return True",
        "gradient": "g.view(Liar)",
    },
    "object that lies": {"top": "class Liar:\n    def __array__(self, *a, **k): os._exit(0)", "gradient": "Liar()"},
    "result too large": {"gradient": "np.zeros((9000, 9000))"},
    "endless result": {
        "top": "class Endless(list):\n    def __iter__(self):\n        while True: yield 1",
        "gradient": "Endless([1])",
    },
    "reference in memory": {
        "backward": "found = [o for o in gc.get_objects() if type(o).__name__ in ('Component', 'Hypothesis')]\n"
        "        assert found, 'no reference here'"
    },
    "looks at its caller": {
        "backward": "f = sys._getframe()\n        while f: f.f_locals.clear() if False else None; f = f.f_back",
        "gradient": "g",
    },
    "thousand threads": {
        "forward": "[threading.Thread(target=time.sleep, args=(60,), daemon=True).start() for _ in range(1000)]"
    },
    "fork bomb": {"forward": "\n        while True: os.fork()"},
}
# Those that use up their whole time.
SLOW = {
    "infinite loop", "endless sleep", "kill itself", "memory in steps", "deep recursion unlocked",
      "signals ignored",
    "alarm", "subprocess escape", "result too large", "endless result", "import never ends", "file too large",
}  # fmt: skip
# Nuisances around a right layer. These pass, and nothing of them is left.
HARMLESS = {
    "import never ends": {"top": "while True: pass"},  # the definitions of the file are enough
    "megabytes of printing": {"forward": "print('x' * 2**22); sys.stderr.write('y' * 2**22)"},
    "threads left running": {"forward": "threading.Thread(target=time.sleep, args=(600,)).start()"},
    "fork that returns": {"forward": "os.fork()"},
    "child left running": {"forward": "subprocess.Popen(['sleep', '600'])"},
    "standard streams closed": {
        "forward": "os.close(0) if os.path.exists('/proc/self/fd/0') else None; sys.stdout = None"
    },
    "unclean exit handler": {"top": "import atexit\natexit.register(lambda: time.sleep(600))"},
    "limits raised": {"forward": "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))"},
}
