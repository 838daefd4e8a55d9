"""The site of the documents: equations as they are written, links that lead somewhere, nothing from elsewhere."""

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import pytest
from browsing import needs_a_browser, running_browser
from docs_site.equations import is_equation, tex, typeset
from docs_site.frame import Page, index, write_pages
from docs_site.lessons import lesson
from docs_site.links import broken_links
from docs_site.reference import docstring, find_names, modules, room_page
from docs_site.source import PROJECT, line_of, source_page
from docs_site.text import Broken, documents, guide, link_from, render, slug

import mlp

NEEDED = ("latex2mathml", "markdown_it", "mdit_py_plugins", "pygments")
pytestmark = pytest.mark.skipif(
    not all(map(find_spec, NEEDED)), reason="no packages for the site: pip install -e '.[docs]'"
)


def mathml(text: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(found) for found in re.findall(r"<math>.*?</math>", typeset(text))]


def shown(element: ElementTree.Element) -> str:
    return "".join(element.itertext())


class TestEquations:
    @pytest.mark.parametrize(
        ("text", "answer"),
        [
            ("    dL/dW = xᵀ dy          (in_features, out_features)\n    dL/db = 1ᵀ dy", True),
            ("    y = x Φ(x)", True),
            ("    w ← w - η g", True),
            ("    2 sqrt(s²/n + s²/m)", True),
            ("    history = solver.fit(train, test)", False),
            ("    optimizer.lr = schedule(step)", False),
            ("    stage 0    16 P\n    stage 1    4 P + 12 P / N", False),
            ("    python -m mlp.parallel.launch -n 2 script.py --its=options", False),
            ('    storage="int8"   1 byte, error 2⁻¹¹ = 0.0005', False),
        ],
    )
    def test_are_told_from_code_and_tables(self, text, answer):
        assert is_equation(text) == answer

    @pytest.mark.parametrize(
        "text",
        [
            "dL/dx = γ / sqrt(σ² + ε) · (dy - mean(dy) - x̂ · mean(dy · x̂)),   dL/dγ = Σ dy · x̂",
            "w ← w - η rₜ m̂ √(1 - β₂ᵗ) / (√v + ε)",
            "T = max_i (m (S_i + τ_i) + T_accumulate,i) <= 2 (p - 1) τ",
            "fan_out · Var(w) -> |a| [k = j] & <b>",
        ],
    )
    def test_no_sign_is_lost_moved_or_changed(self, text):
        """Each piece is well-formed, and reads like the source but for spaces and typography."""
        same = {"₂": "2", "ₜ": "t", "ᵗ": "t", "²": "2", "<=": "≤", "->": "→", "-": "−", "√": "", "sqrt": ""}
        expected = text
        for old, new in same.items():
            expected = expected.replace(old, new)
        strip = str.maketrans("", "", " ()\u2063_")
        assert "".join(map(shown, mathml(f"    {text}"))).translate(strip) == expected.translate(strip)

    def test_powers_indices_and_roots(self):
        (found,) = mathml("    y = x² + w_rᵀ + sqrt(a b) + fan_in + s_ij")
        assert [shown(e) for e in found.iter("msup")] == ["x2", "wrT"]
        assert [shown(e) for e in found.iter("msub")] == ["wr", "si\u2063j"]
        assert [shown(e) for e in found.iter("msqrt")] == ["ab"]
        assert "fan_in" in [shown(e) for e in found.iter("mi")]

    def test_what_stands_apart_stays_apart(self):
        assert [shown(e) for e in mathml("    a = f(b,  c)   for d = 1")] == ["a=f(b,c)", "ford=1"]

    def test_latex(self):
        assert "<mfrac>" in tex(r"\frac{\partial L}{\partial W}", block=True)
        assert "𝟏" in tex(r"\mathbf{1}", block=False)
        assert re.search(r"<mi>log</mi><mspace[^>]+/><msub>", tex(r"\log p_k", block=False))
        with pytest.raises(ValueError, match="unknown command"):
            tex(r"\nonsense{x}", block=False)


class TestText:
    @pytest.mark.parametrize("document", documents())
    def test_every_document_becomes_a_page(self, document):
        page = guide(document)
        assert page.title
        assert "<script" not in page.body

    def test_links_to_definitions_lead_to_their_lines(self):
        body = render("[`Linear.backward`](../mlp/layers/linear.py)", link_from("docs/x.md"), "x")
        target = re.search(r'href="([^"]+)"', body)[1]
        assert target.startswith("../source/mlp/layers/linear.py.html#L-")
        line = int(target.rpartition("-")[2])
        lines = (PROJECT / "mlp/layers/linear.py").read_text().splitlines()
        assert lines[line - 1].strip().startswith("def backward(")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("[x](nowhere.md)", "links to nowhere.md"),
            ("![x](figures/nothing.png)", "links to figures/nothing.png"),
            (r"$\nonsense$", "unknown command"),
            ("```nonsense\nx\n```", "which no highlighter knows"),
        ],
    )
    def test_what_is_wrong_is_an_error(self, text, message):
        with pytest.raises(Broken, match=re.escape(message)):
            render(text, link_from("docs/x.md"), "docs/x.md")

    def test_headings_have_the_anchors_of_github(self):
        assert slug("Schedules, clipping, `a`") == "schedules-clipping-a"
        assert render("# A b\n\n# A b", link_from("x.md"), "x").count('id="a-b') == 2


class TestReference:
    def test_has_every_public_name(self):
        described = {name.rpartition(".")[2] for name in find_names()}
        classes = {name for name in mlp.__all__ if isinstance(getattr(mlp, name), type)}
        assert classes - described == set()
        assert {"check_layer", "run_threads", "diagnose", "export_onnx", "he_normal", "forward"} <= described

    def test_a_page_of_it(self):
        page = room_page("mlp.losses", modules()["mlp.losses"], find_names())
        assert ("CrossEntropyLoss", "mlp.losses.cross_entropy.CrossEntropyLoss") in {e[:2] for e in page.entries}
        assert 'id="mlp.losses.cross_entropy.CrossEntropyLoss.forward"' not in page.body  # it says nothing new
        assert "label_smoothing" in page.body
        assert page.body.count("<math>") > 5

    def test_names_in_docstrings_lead_to_their_description(self):
        names = find_names()
        made = docstring("See ``check_layer`` and ``nothing``.", names, "reference/mlp.layers.html")
        assert '<a href="mlp.gradcheck.html#mlp.gradcheck.check.check_layer"><code>check_layer</code></a>' in made
        assert "<code>nothing</code>" in made

    def test_parts_of_a_docstring(self):
        made = docstring(
            "First & last.\n\n    y = x²\n\n    print(y)\n\nArgs:\n    x: what\n        goes in.\n\n- one\n- two",
            {}, "reference/x.html",
        )  # fmt: skip
        assert "First &amp; last." in made
        assert made.count("<math>") == 1
        assert "<dt><code>x</code></dt><dd>what goes in.</dd>" in made
        assert made.count("<li>") == 2


def test_source_has_a_place_for_each_line():
    page = source_page("mlp/layers/linear.py")
    count = len((PROJECT / "mlp/layers/linear.py").read_text().splitlines())
    assert [f'id="L-{n}"' in page.body for n in (1, count, count + 1)] == [True, True, False]
    assert line_of("mlp/layers/linear.py", "Linear.nothing") is None


def test_a_lesson_with_its_outputs(tmp_path):
    output = [
        {"output_type": "stream", "name": "stdout", "text": ["<b>\x1b[1m"]},
        {"output_type": "display_data", "data": {"text/plain": ["text"], "text/html": ["<i>html</i>"]}},
        {"output_type": "execute_result", "data": {"image/png": "aGk=\n", "text/plain": ["Figure"]}},
    ]
    cells = [
        {"cell_type": "markdown", "source": ["# A title\n", "\n", "$x$"]},
        {"cell_type": "code", "source": ["x = 1"], "outputs": output},
    ]
    (tmp_path / "01_first_network.ipynb").write_text(json.dumps({"cells": cells}))
    page = lesson(tmp_path / "01_first_network.ipynb")
    assert (page.title, page.place) == ("A title", "notebooks/01_first_network.html")
    for part in ("<pre>&lt;b&gt;</pre>", "<i>html</i>", "base64,aGk=", "<math"):
        assert part in page.body
    assert "Figure" not in page.body


class TestLinks:
    @pytest.mark.parametrize(
        ("html", "problem"),
        [
            ('<a href="b.html">', None),
            ('<a href="b.html#here">', None),
            ('<a href="https://example.org">', None),
            ('<img src="data:image/png;base64,">', None),
            ('<a href="c.html">', "no such file"),
            ('<a href="b.html#there">', "no such place"),
            ('<a href="#x">', "no such place"),
            ('<img src="https://example.org/x.png">', "asks another machine"),
            ('<script src="//example.org/x.js">', "asks another machine"),
            ('<link rel="stylesheet" href="http://example.org">', "asks another machine"),
        ],
    )
    def test_are_followed(self, tmp_path, html, problem):
        (tmp_path / "a.html").write_text(html)
        (tmp_path / "b.html").write_text('<h1 id="here">')
        found = list(broken_links(tmp_path))
        assert len(found) == (problem is not None)
        assert problem is None or problem in found[0]

    def test_styles_load_nothing(self, tmp_path):
        (tmp_path / "a.css").write_text("body { background: url(x.png) }")
        assert len(list(broken_links(tmp_path))) == 1


def test_the_search_knows_places():
    page = Page("docs/x.html", "X", "", "Guides", [("Title", "part", 'a\n "b"')])
    assert index([page]) == 'const INDEX = [["Title", "Guides: X", "docs/x.html#part", "a \\"b\\""]];\n'


@needs_a_browser
def test_the_search_finds_in_a_browser(tmp_path):
    pages = [
        Page("index.html", "First", "<h1>First</h1>", "Guides", [("First", "", "a word about gradients")]),
        Page(
            "deep/down.html", "Gradients", '<h1 id="g">Gradients</h1>', "Guides", [("Gradients", "g", "& <b>more")]
        ),
    ]
    write_pages(pages, {"Guides": pages}, tmp_path)
    assert list(broken_links(tmp_path)) == []
    with running_browser() as browser:
        page = browser.new_page()
        page.goto((tmp_path / "index.html").as_uri())
        page.keyboard.press("/")
        page.keyboard.type("gradients")
        links = page.locator("#found a")
        assert links.all_text_contents() == ["GradientsGuides: Gradients", "FirstGuides: First"]
        links.first.click()
        page.wait_for_url("**/deep/down.html#g")
        page.fill("#search", "nonsense")
        assert page.locator("#found").text_content() == "Nothing found."
        page.fill("#search", "more <b>")
        assert page.locator("#found a").count() == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output", str(PROJECT / "mlp")], "is there and holds no site"),
        (["--lessons", "nowhere"], "nowhere is no folder"),
    ],
)
def test_the_command_refuses_in_one_line(arguments, message):
    command = [sys.executable, str(Path(PROJECT) / "scripts" / "make_docs.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert message in done.stderr
