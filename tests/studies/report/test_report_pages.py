"""The whole report from made-up runs: pages, figures, CSV files, labels, and the same bytes twice."""

import csv
import re
from dataclasses import replace

import pytest

from mlp.checks import InputError
from mlp.studies.report import write_report
from mlp.studies.report.figures import plot_activation, plot_curves
from mlp.studies.report.results import by_setting

PNG = b"\x89PNG\r\n\x1a\n"
FIGURES = {
    "accuracy", "loss", "activation_above", "activation_single", "sweep_momentum", "final"
}  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory, results, timing):
    """A quick report, made once: drawing takes seconds."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "notes.md").write_text("The maintainers say why.\n")
    write_report(results, folder, timing=timing, quick=True)
    return folder


def test_every_page_of_a_quick_report_says_so_first(written):
    pages = sorted(written.glob("*.md"))
    assert [page.name for page in pages] == ["README.md", "notes.md", "sweeps.md"]
    for page, seeds in ((pages[0], "3 seeds"), (pages[2], "1 seed")):
        label = page.read_text().splitlines()[2]
        assert label == f"> **quick version: 6 epochs, {seeds}; not the published result**"


def test_the_main_page_tells_where_it_comes_from_and_what_is_off(written):
    text = (written / "README.md").read_text()
    # 54 and 6, of which one, the recipe itself, belongs to both experiments
    assert "Made by `./train.sh report --quick` from 59 runs; the newest is of unknown." in text
    assert "**17 of 18 test accuracies agree with the reference**: 17 within 0.15 points, 0 more" in text
    assert "- ReLU with Hinge, one hidden layer: 96.83 ± 0.05 % here, 96.33 % there, +0.50 points" in text
    assert "The maintainers say why." in text
    assert "58 of 59 runs reached their last epoch with finite losses; 1 diverged." in text
    assert "loss not finite at step 251" in text
    assert "GeLU has more neurons above 0.2 than ReLU in 9 of 9 panels" in text
    assert "nan" not in re.sub(r"\w*nan\w+", "", text)


def test_links_and_images_lead_to_files(written):
    for page in ("README.md", "sweeps.md"):
        targets = re.findall(r"\]\(([^)#]+)\)", (written / page).read_text())
        assert targets
        assert [target for target in targets if not (written / target).exists()] == []


def test_figures_are_png_files(written):
    figures = {path.stem: path.read_bytes() for path in (written / "figures").iterdir()}
    assert figures.keys() == FIGURES
    for content in figures.values():
        assert content.startswith(PNG)
        assert content.endswith(b"IEND\xaeB`\x82")


def test_the_csv_of_all_final_numbers_has_a_line_a_run(written):
    lines = list(csv.DictReader((written / "final.csv").read_text().splitlines()))
    assert len(lines) == 60
    assert lines[0]["experiment"] == "hidden-layers"
    assert float(lines[0]["final_test_accuracy"]) == pytest.approx(0.9815)
    assert (lines[-1]["status"], lines[-1]["final_test_accuracy"]) == ("diverged", "")


def test_the_same_runs_give_the_same_bytes(written, tmp_path, results, timing):
    (tmp_path / "notes.md").write_text("The maintainers say why.\n")
    paths = write_report(results, tmp_path, timing=timing, quick=True)
    assert len(paths) == len(FIGURES) + len(list(written.glob("*.csv"))) + 2
    for path in paths:
        assert path.read_bytes() == (written / path.relative_to(tmp_path)).read_bytes(), path.name


def test_a_setting_without_runs_is_an_error(results, tmp_path):
    runs = [run for run in results["hidden-layers"] if run.config.loss != "MSE"]
    with pytest.raises(InputError, match=r"6 of 18 settings have no finished run, the first is GeLU"):
        write_report({"hidden-layers": runs}, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_sweeps_timing_notes_and_with_one_diverged_setting(results, tmp_path, monkeypatch):
    monkeypatch.setattr("mlp.studies.report.write._draw", lambda *parts: [])  # the figures take most of the time
    runs = [
        replace(run, status="diverged", final={}, rows=[], step=7) if run.config.hidden == [128]
        and run.config.loss == "CE" and run.config.activation == "ReLU" else run
        for run in results["hidden-layers"]
    ]  # fmt: skip
    write_report({"hidden-layers": runs}, tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert "quick" not in text
    assert "- ReLU with CE, one hidden layer: no run was completed" in text
    assert "**✗ no run**" in text
    assert "Not measured." in text
    assert not (tmp_path / "sweeps.md").exists()


def test_curves_have_a_line_a_setting(results):
    groups = by_setting(results["hidden-layers"])
    figure = plot_curves(groups, "accuracy")
    assert [ax.get_title() for ax in figure.axes] == [
        "test, one hidden layer", "test, two hidden layers", "train, one hidden layer", "train, two hidden layers"
    ]  # fmt: skip
    assert [len(ax.lines) for ax in figure.axes] == [9] * 4
    assert len(figure.legends[0].get_texts()) == 9
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert lines["GeLU, CE"].get_color() == lines["GeLU, MSE"].get_color() != lines["ReLU, CE"].get_color()
    assert lines["GeLU, CE"].get_ydata()[-1] == pytest.approx(98.2)
    assert all(ax.get_yscale() == "log" for ax in plot_curves(groups, "loss").axes)


def test_activation_has_a_panel_a_layer_and_loss(results):
    figure = plot_activation(by_setting(results["hidden-layers"]), "above_0.2", "neurons (%)", last_epoch=4)
    assert len(figure.axes) == 9
    for ax in figure.axes:
        assert [line.get_label() for line in ax.lines] == ["GeLU", "ReLU"]
        assert ax.lines[0].get_linestyle() == "-"
        assert list(ax.lines[0].get_xdata()) == [1, 2, 3, 4]
        assert ax.lines[1].get_ydata()[0] == pytest.approx(70)
