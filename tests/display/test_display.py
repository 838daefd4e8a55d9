"""What objects show in a notebook: well-formed, escaped, in the page's own colours, and with the right numbers."""

import base64
import io
import re
import subprocess
import sys
from html.parser import HTMLParser

import matplotlib.image
import numpy as np
import pytest

import mlp
from mlp import Dataset, History, Linear, Network, ReLU
from mlp.diagnosis import layer_statistics
from mlp.display.curves import chart
from mlp.display.html import Html, escape, table
from mlp.display.images import as_bytes, png
from mlp.gradcheck import check_layer
from mlp.metrics import classification_report
from mlp.metrics.calibration import reliability_bins
from mlp.parallel import SerialCommunicator

RNG = np.random.default_rng(0)
WITHOUT_END = {"img", "br"}


class Page(HTMLParser):
    """Checks that tags are closed in order, and collects what a reader sees."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[list[str]] = []
        self.text = ""
        self.attributes: list[tuple[str, str | None]] = []
        self.tags: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in WITHOUT_END:
            self.open.append(tag)
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if {"td", "th"} & set(self.open):
            self.cells[-1][-1] += data


def bad_linear() -> Linear:
    class Transposed(Linear):
        def backward(self, grad_y):
            return -super().backward(grad_y)

    return Transposed(4, 4, rng=0, dtype=np.float64)


def network() -> Network:
    return Network(Linear(3, 5), ReLU(), Linear(5, 2), rng=0)


def counts():
    communicator = SerialCommunicator()
    communicator.all_reduce(np.ones(8))
    return communicator.counts


X, Y = RNG.normal(size=(20, 3)), RNG.integers(0, 2, 20)
ROWS = [{"epoch": k, "train_loss": 1 / k, "train_accuracy": 0.5, "test_loss": 2 / k} for k in (1, 2, 3)]
SHOWN = {
    "network": network,
    "history": lambda: History(ROWS),
    "history of nothing": History,
    "history of one epoch": lambda: History(ROWS[:1]),
    "history that diverged": lambda: History([{"epoch": 1, "train_loss": np.nan}, {"train_loss": np.inf}]),
    "gradcheck": lambda: check_layer(Linear(3, 2, rng=0, dtype=np.float64), X),
    "failed gradcheck": lambda: check_layer(bad_linear(), RNG.normal(size=(3, 4))),
    "images": lambda: Dataset(RNG.integers(0, 256, (30, 5, 4), dtype=np.uint8), RNG.integers(0, 3, 30)),
    "coloured images": lambda: Dataset(RNG.random((3, 5, 4, 3)), ["a", "b", "a"]),
    "features": lambda: Dataset(X, Y),
    "many features": lambda: Dataset(RNG.normal(size=(2, 40)), RNG.normal(size=(2, 3))),
    "distributions": lambda: Dataset(X[:2], [[0.25, 0.75], [1.0, 0.0]], soft_labels=True),
    "report": lambda: classification_report([0, 1, 1], [0, 1, 0], class_names=["cat", "dog"]),
    "bins": lambda: reliability_bins(np.array([0, 1]), np.array([[0.9, 0.1], [0.4, 0.6]]), num_bins=2),
    "counts": counts,
    "statistics": lambda: layer_statistics(network(), mlp.CrossEntropyLoss(), X, Y),
}  # fmt: skip


@pytest.mark.parametrize("name", SHOWN)
class TestEveryObject:
    def test_is_a_whole_piece_of_a_page(self, name):
        page = Page(SHOWN[name]()._repr_html_())
        assert page.text.strip()
        assert {"script", "link", "iframe"} & set(page.tags) == set()

    def test_takes_the_colours_of_the_page(self, name):
        page = Page(SHOWN[name]()._repr_html_())
        styles = ";".join(value or "" for key, value in page.attributes if key == "style")
        assert set(re.findall(r"background[^:]*:\s*([^;]+)", styles)) <= {"none"}
        assert "#000" not in styles
        assert "white;" not in styles

    def test_asks_for_nothing_from_elsewhere(self, name):
        for key, value in Page(SHOWN[name]()._repr_html_()).attributes:
            if key in ("src", "href"):
                assert value.startswith("data:")

    def test_is_text_too(self, name):
        text = repr(SHOWN[name]())
        assert text
        assert not text.startswith("<")
        assert " object at 0x" not in text


class TestNumbers:
    def test_of_a_network(self):
        rows = Page(network()._repr_html_()).cells
        assert rows[1] == ["0", "Linear(3, 5)", "(N, 5)", "weight (3, 5), bias (5,)", "20"]
        assert rows[2] == ["1", "ReLU()", "(N, 5)", "", "0"]
        assert rows[-1] == ["", "total", "", "float32, 128 bytes", "32"]

    def test_a_shared_weight_counts_once(self):
        layer = Linear(4, 4)
        rows = Page(Network(layer, ReLU(), layer, rng=0)._repr_html_()).cells
        assert [row[-1] for row in rows[1:]] == ["20", "0", "0", "20"]

    def test_of_a_history(self):
        page = Page(History(ROWS)._repr_html_())
        assert page.cells == [
            ["epoch", "train_loss", "train_accuracy", "test_loss"],
            ["3", "0.3333", "0.5000", "0.6667"],
        ]
        assert page.tags.count("svg") == 2
        assert page.tags.count("polyline") == 3

    def test_of_a_check(self):
        passed = Page(SHOWN["gradcheck"]()._repr_html_())
        assert "✓ passed" in passed.text
        assert [row[0] for row in passed.cells[1:]] == ["x", "weight", "bias"]
        failed = Page(SHOWN["failed gradcheck"]()._repr_html_())
        assert "✗ FAILED" in failed.text
        assert failed.cells[1][:3] == ["x", "(3, 4)", "WRONG in 12"]
        assert "likely mistake: " in failed.text

    def test_of_a_data_set(self):
        page = Page(Dataset([[1.0, 2.0]], [7], num_classes=9)._repr_html_())
        assert page.cells == [["", "feature 0", "feature 1", "label"], ["0", "1", "2", "7"]]
        many = Page(SHOWN["many features"]()._repr_html_()).cells
        assert [len(row) for row in many] == [11, 11, 11]
        assert many[0][-2:] == ["…", "label"]
        assert [row[-1] for row in Page(SHOWN["distributions"]()._repr_html_()).cells] == ["label", "1", "0"]

    def test_of_a_report(self):
        assert Page(SHOWN["report"]()._repr_html_()).cells[2] == ["dog", "1.0000", "0.5000", "0.6667", "2"]

    def test_of_bins(self):
        rows = Page(SHOWN["bins"]()._repr_html_()).cells
        assert rows[2] == ["0.500 to 1.000", "2", "0.7500", "1.0000", "0.2500"]
        assert rows[-3:] == [
            ["ECE", "", "", "", "0.2500"],
            ["MCE", "", "", "", "0.2500"],
            ["ACE", "", "", "", "0.2500"],
        ]

    def test_of_counts(self):
        assert Page(counts()._repr_html_()).cells[1] == ["all_reduce", "1", "64", "0"]


class TestPictures:
    @pytest.mark.parametrize("shape", [(5, 4), (5, 4, 3), (1, 1)])
    def test_a_png_holds_the_pixels(self, shape):
        pixels = RNG.integers(0, 256, shape, dtype=np.uint8)
        read = matplotlib.image.imread(io.BytesIO(png(pixels)), format="png")
        np.testing.assert_array_equal(np.rint(255 * read).astype(np.uint8), pixels)

    def test_the_samples_of_a_data_set_in_order(self):
        data = SHOWN["images"]()
        page = Page(data._repr_html_())
        sources = [value for key, value in page.attributes if key == "src"]
        assert len(sources) == 12
        third = base64.b64decode(sources[2].partition("base64,")[2])
        read = matplotlib.image.imread(io.BytesIO(third), format="png")
        expected = data.stored[2].astype(float)
        np.testing.assert_allclose(
            np.interp(expected, (data.stored[:12].min(), data.stored[:12].max()), (0, 1)), read.ravel(), atol=3e-3
        )

    def test_numbers_become_bytes(self):
        assert as_bytes(np.array([-128, 0, 127], np.int8)).tolist() == [0, 128, 255]
        assert as_bytes(np.ones(2)).tolist() == [0, 0]


class TestCurves:
    def points(self, html: str) -> list[list[tuple[float, float]]]:
        lines = re.findall(r'points="([^"]+)"', html)
        return [[tuple(map(float, point.split(","))) for point in line.split()] for line in lines]

    def test_rise_where_values_rise(self):
        ((low, high),) = self.points(chart("loss", [1, 2], {"train": [0.0, 5.0]}))
        assert low[0] < high[0]
        assert low[1] > high[1]  # down is up in SVG

    def test_have_gaps_where_values_are_not_finite(self):
        html = chart("loss", range(6), {"train": [1, 2, np.nan, 3, np.inf, 2.5]})
        assert len(self.points(html)) == 1
        assert html.count("<circle") == 2
        assert "nan" not in html


class TestEscaping:
    EVIL = "<script>alert(1)</script>&\"'"

    def test_text_is_never_markup(self):
        assert escape(self.EVIL) == "&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;&#x27;"
        assert Page(table([self.EVIL], [[self.EVIL]])).cells == [[self.EVIL], [self.EVIL]]
        assert escape(Html("<b>")) == "<b>"

    @pytest.mark.parametrize(
        "shown",
        [
            Dataset([[0.0]], [EVIL], name=EVIL),
            Dataset(np.zeros((1, 2, 2)), [EVIL], classes=[EVIL], name=EVIL),
            History([{EVIL: 1.0, "train_loss": 1.0}]),
            classification_report([EVIL, "b"], ["b", "b"]),
        ],
        ids=range(4),
    )
    def test_names_from_data(self, shown):
        page = Page(shown._repr_html_())
        assert "script" not in page.tags
        assert self.EVIL in page.text


def test_importing_mlp_loads_none_of_it():
    program = "import mlp, sys; print([name for name in sys.modules if name.startswith('mlp.display')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
