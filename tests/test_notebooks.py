"""The course: notebooks say what their scripts say, lessons have all their parts, and what goes wrong is told.

The lessons themselves are run by ``scripts/make_notebooks.py --execute``, as .ci/run does: that takes minutes.
"""

import json
import re
import sys
from pathlib import Path

import make_notebooks
import pytest
from notebook_format import as_json, notebook, solutions

from mlp.checks import InputError

LESSONS = make_notebooks.sources()


def test_every_notebook_is_what_its_script_says():
    assert list(make_notebooks.differing()) == []


def test_jupytext_reads_the_same_cells():
    jupytext = pytest.importorskip("jupytext", reason="jupytext is not installed")
    for lesson in LESSONS:
        text = lesson.read_text("utf-8")
        theirs = [(cell.cell_type, cell.source) for cell in jupytext.reads(text, fmt="py:percent").cells]
        ours = [(cell["cell_type"], "".join(cell["source"])) for cell in notebook(text)["cells"]]
        assert ours == theirs


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
class TestALesson:
    def test_begins_with_what_there_is_to_see_and_has_one_switch(self, lesson):
        first, *others = notebook(lesson.read_text("utf-8"))["cells"]
        text = "".join(first["source"])
        assert text.startswith(f"# {int(lesson.stem[:2])}. ")
        assert "**What you will see.**" in text
        code = [
            line for cell in others if cell["cell_type"] == "code" for line in "".join(cell["source"]).split("\n")
        ]
        assert sum(line.startswith(make_notebooks.SWITCH) for line in code) == 1

    def test_explains_draws_and_asserts(self, lesson):
        cells = notebook(lesson.read_text("utf-8"))["cells"]
        text, code = (
            "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == kind)
            for kind in ("markdown", "code")
        )
        assert text.count("$$") >= 2
        assert len(re.findall(r"^\s*assert ", code, re.MULTILINE)) >= 3
        assert len(re.findall(r"plt\.(subplots|figure)|plot_|\.plot\(", code)) >= 3

    def test_ends_with_three_exercises_and_their_solutions(self, lesson):
        text = "".join(notebook(lesson.read_text("utf-8"))["cells"][-1]["source"])
        _, heading, exercises = text.partition("## Exercises\n")
        assert heading
        assert re.findall(r"^\*\*(\d)\. ", exercises, re.MULTILINE) == ["1", "2", "3"]
        assert exercises.count("<details><summary>Solution</summary>\n\n") == exercises.count("</details>") == 3

    def test_imports_nothing_but_the_library_and_what_the_course_installs(self, lesson):
        packages = set(re.findall(r"^\s*(?:from|import) (\w+)", lesson.read_text("utf-8"), re.MULTILINE))
        assert "mlp" in packages
        others = packages - sys.stdlib_module_names - {"mlp", "numpy", "matplotlib", "tqdm", "yaml"}
        assert others == set(), "no module hidden away"


def write_lesson(folder: Path, *cells: str) -> Path:
    lesson = folder / "01_small.py"
    lesson.write_text("".join(f"# %%{cell}\n" for cell in cells))
    return lesson


def test_a_notebook_that_differs_or_has_no_script_is_found(tmp_path):
    lesson = write_lesson(tmp_path, "\na = 1", " [markdown]\n# text")
    book = lesson.with_suffix(".ipynb")
    assert make_notebooks.differing(tmp_path) == {book: as_json(notebook(lesson.read_text()))}
    book.write_text(as_json(notebook(lesson.read_text())))
    assert make_notebooks.differing(tmp_path) == {}
    assert [cell["source"] for cell in json.loads(book.read_text())["cells"]] == [["a = 1"], ["text"]]
    lesson.unlink()
    assert make_notebooks.differing(tmp_path) == {book: None}


def test_lessons_are_named_by_how_they_begin(tmp_path):
    lesson = write_lesson(tmp_path, "\na = 1")
    assert make_notebooks.sources(tmp_path, ["01"]) == make_notebooks.sources(tmp_path) == [lesson]
    with pytest.raises(InputError, match=r"lesson '13'; accepted: 01_small"):
        make_notebooks.sources(tmp_path, ["13"])


def test_code_of_folded_solutions_alone_is_found(tmp_path):
    text = "<details>\n```python\na = 1\n```\nand\n```python\nb = 2\n```\n</details>"
    lesson = write_lesson(tmp_path, " [markdown]\n# ```python\n# c = 3\n# ```\n# " + text.replace("\n", "\n# "))
    assert solutions(notebook(lesson.read_text())) == ["a = 1\n", "b = 2\n"]


class TestRunning:
    @pytest.fixture(autouse=True)
    def _needs_nbclient(self):
        pytest.importorskip("nbclient", reason="nbclient is not installed: python -m pip install 'mlp[notebooks]'")
        pytest.importorskip(
            "ipykernel", reason="ipykernel is not installed: python -m pip install 'mlp[notebooks]'"
        )

    def test_gives_outputs_and_knows_the_switch(self, tmp_path, capfd):
        solution = "\n# <details>\n# ```python\n# assert THOROUGH and here.is_dir()\n# ```\n# </details>"
        lesson = write_lesson(
            tmp_path,
            "\nfrom pathlib import Path\nTHOROUGH = False\nhere = Path.cwd()\nprint(list(here.glob('*.py')))",
            " [markdown]" + solution,
            "\nimport matplotlib.pyplot as plt\nplt.plot([0, 1])\nTHOROUGH",
        )
        options = {"limit": 60, "thorough": True, "with_solutions": True}
        assert list(make_notebooks.run_lessons([lesson], tmp_path / "out", **options)) == []
        first, _, last = json.loads((tmp_path / "out" / "01_small.ipynb").read_text())["cells"]
        assert first["outputs"][0]["text"] == "[]\n"
        assert [sorted(output["data"]) for output in last["outputs"]] == [
            ["text/plain"], ["image/png", "text/plain"],
        ]  # fmt: skip
        assert capfd.readouterr().err == ""

    @pytest.mark.parametrize(
        ("code", "message"),
        [
            ("assert 1 == 2, 'as claimed'", "cell 1: .*as claimed"),
            ("import warnings\nwarnings.warn('careful')", "cell 1 writes on stderr: .*careful"),
            ("object()", "cell 1 shows <object at 0x.*>, an address"),
            ("while True: pass", "cell 1: the time is over"),
        ],
    )
    def test_fails_for_what_a_lesson_must_not_do(self, tmp_path, code, message):
        lesson = write_lesson(tmp_path, f"\n{code}")
        (failure,) = make_notebooks.run_lessons([lesson], None, limit=1 if "while" in code else 60)
        assert re.match(rf"01_small\.py, {message}", failure, re.DOTALL)
