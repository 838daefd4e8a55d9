"""Drawings become pictures like those of MNIST: MNIST itself is the witness."""

import numpy as np
import pytest

from mlp import InputError
from mlp.demo.drawing import as_drawn, like_mnist, resize


def pictures(mnist) -> np.ndarray:
    return (mnist[1].stored.astype(np.int16) + 128).astype(np.uint8).reshape(-1, 28, 28)


def enlarged(picture: np.ndarray, factor: int = 10) -> np.ndarray:
    return np.kron(picture, np.ones((factor, factor), np.uint8))


def test_pictures_of_mnist_stay_as_they_are(mnist):
    """They were prepared in this way: enlarged to a canvas they come back, but for the faintest pixels."""
    changed = [np.abs(like_mnist(enlarged(p)).astype(int) - p).mean() for p in pictures(mnist)]
    assert np.mean(np.array(changed) < 0.5) >= 0.99


def test_neither_place_nor_size_of_a_drawing_matters(mnist):
    for picture in pictures(mnist)[:10]:
        expected = like_mnist(enlarged(picture))
        np.testing.assert_array_equal(like_mnist(np.pad(enlarged(picture), ((40, 3), (0, 90)))), expected)
        smaller = np.pad(enlarged(picture, 5), ((10, 130), (120, 20)))
        np.testing.assert_array_equal(like_mnist(smaller), expected)


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (200, 3), (280, 280)])
def test_the_box_is_20_pixels_and_proportions_are_kept(shape):
    drawing = np.zeros((280, 280), np.uint8)
    drawing[: shape[0], : shape[1]] = 255
    rows, columns = (np.flatnonzero(like_mnist(drawing).any(axis=1 - axis)) for axis in (0, 1))
    assert max(len(rows), len(columns)) == 20
    assert len(rows) == max(1, round(20 * shape[0] / max(shape)))
    assert len(columns) == max(1, round(20 * shape[1] / max(shape)))


def test_nothing_drawn_is_an_empty_picture():
    assert not like_mnist(np.zeros((280, 280), np.uint8)).any()
    assert not like_mnist(np.full((280, 280), 3, np.uint8)).any()


def test_a_lopsided_drawing_stays_whole():
    drawing = np.zeros((100, 100), np.uint8)
    drawing[0:10], drawing[:, 0:2] = 255, 255
    assert like_mnist(drawing).sum(dtype=float) == pytest.approx(resize(drawing, 20, 20).sum(), rel=0.01)


def test_as_drawn_leaves_it_where_it_is(mnist):
    for picture in pictures(mnist)[:5]:
        np.testing.assert_array_equal(as_drawn(enlarged(picture)), picture)


@pytest.mark.parametrize(("old", "new"), [(280, 28), (7, 20), (20, 7), (3, 3)])
def test_resizing_keeps_the_mean(old, new):
    image = np.random.default_rng(0).random((old, old + 1))
    assert resize(image, new, new + 2).mean() == pytest.approx(image.mean())


def test_what_is_no_drawing_is_refused():
    for drawing in (np.zeros(4, np.uint8), np.zeros((2, 2)), np.zeros((0, 2), np.uint8)):
        with pytest.raises(InputError, match="a drawing is bytes"):
            like_mnist(drawing)
