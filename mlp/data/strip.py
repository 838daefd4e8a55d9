"""The first samples of a data set as a notebook shows them: pictures in a row, or rows of numbers."""

from __future__ import annotations

from collections.abc import Sequence

from mlp.arrays import Array
from mlp.data.splits import class_of
from mlp.display.html import Html, code, join, line, styled, table
from mlp.display.images import as_bytes, picture

SHOWN = 12  # pictures, as many as fit into a line
ROWS, NUMBERS = 5, 8  # of a table


def label_texts(labels: Array, classes: Sequence[str] | None, is_classification: bool) -> list[str]:
    """Labels in words: a class by its name or number, that of a distribution if most probable; else numbers."""
    if not is_classification:
        return [", ".join(f"{value:.4g}" for value in row) for row in labels]
    return [str(k) if classes is None else classes[k] for k in class_of(labels)]


def show_samples(title: str, x: Array, labels: Sequence[str], image_shape: tuple[int, ...] | None) -> Html:
    """``title`` above the samples x (n, features) with their labels."""
    if image_shape is not None and (len(image_shape) == 2 or (len(image_shape) == 3 and image_shape[2] == 3)):
        shown = _pictures(x[:SHOWN].reshape(-1, *image_shape), labels)
    else:
        shown = _numbers(x[:ROWS], labels)
    return join([line(code(title)), shown])


def _pictures(images: Array, labels: Sequence[str]) -> Html:
    style = "display: inline-block; margin: 0 0.5em 0.3em 0; text-align: center; vertical-align: bottom"
    below = "max-width: 7em; overflow: hidden; text-overflow: ellipsis; white-space: nowrap"
    return line(*(
        styled(join([picture(pixels), styled(label, below, "div")]), style, "div")
        for pixels, label in zip(as_bytes(images), labels, strict=False)
    ))  # fmt: skip


def _numbers(x: Array, labels: Sequence[str]) -> Html:
    left_out = x.shape[1] > NUMBERS
    head = ["", *(f"feature {k}" for k in range(min(x.shape[1], NUMBERS))), *["…"] * left_out, "label"]
    rows = [
        [i, *(f"{value:.4g}" for value in row[:NUMBERS]), *["…"] * left_out, label]
        for i, (row, label) in enumerate(zip(x, labels, strict=False))
    ]
    return table(head, rows)
