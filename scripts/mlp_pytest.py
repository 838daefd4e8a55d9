"""The options of ``pytest --pyargs mlp.grading --submission PATH``.

A module outside of ``mlp``, because pytest loads it at every start: it must import nothing.
"""


def pytest_addoption(parser):
    """What to grade, and how much to tell."""
    group = parser.getgroup("mlp.grading")
    group.addoption("--submission", metavar="PATH", help="grade a file, folder, module, zip or notebook")
    group.addoption("--hints", default="what", help="how much its messages tell: none, where, what or how")


def pytest_generate_tests(metafunc):
    """One test for each verdict on the submission."""
    path = metafunc.config.getoption("--submission")
    if path and "verdict" in metafunc.fixturenames and metafunc.module.__name__ == "mlp.grading.test_submission":
        from mlp.grading import grade

        verdicts = grade(path, hints=metafunc.config.getoption("--hints"))
        metafunc.parametrize("verdict", verdicts, ids=[verdict.component for verdict in verdicts])
