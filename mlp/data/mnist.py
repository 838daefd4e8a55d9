"""MNIST comes with the package, so that a first training run needs no download; its relatives load too."""

import hashlib
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlp.arrays import Array
from mlp.checks import InputError
from mlp.data.dataset import Dataset
from mlp.data.idx import read_idx

SHIPPED = Path(__file__).parent / "mnist"
# Both spellings are in circulation, packed and unpacked.
ENDINGS = ("-idx{axes}-ubyte.gz", "-idx{axes}-ubyte", ".idx{axes}-ubyte.gz", ".idx{axes}-ubyte")
PARTS = {"train": ("train",), "test": ("t10k", "test")}
SCALE = 1 / 255


def load_mnist(folder: str | os.PathLike[str] | None = None, *, verify: bool = True) -> tuple[Dataset, Dataset]:
    """The training set and the test set of MNIST: 60000 and 10000 images of handwritten digits, 28×28 pixels.

        x = (pixel - 128) / 255        pixel 0 .. 255, x in [-0.502, 0.498]

    The range lies on both sides of zero on purpose: if all inputs of a unit had one sign, so would the
    gradients of its weights (dW = x dy), and they could only move up together or down together (LeCun et al.,
    "Efficient BackProp", 1998, section 4.3).

    Args:
        folder: None for the copy in the package. Otherwise a folder with four IDX files in the same form,
            e.g. Fashion-MNIST: train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte,
            t10k-labels-idx1-ubyte, each plain or with .gz, also spelt train-images.idx3-ubyte, or as EMNIST has
            them: emnist-letters-train-images-idx3-ubyte, emnist-letters-test-images-idx3-ubyte. The number
            of classes is the largest label of both sets + 1. Labels that begin with 1, as those of EMNIST's
            letters do (A is 1), are counted from 0 like all others: A becomes 0.
        verify: compare the package's own files with their SHA-256. A folder's files are checked for agreeing
            with each other instead.

    Returns (train, test): Datasets with ``image_shape`` (rows, columns), whose ``inputs`` (n, rows·columns) hold
    pixel - 128 as signed bytes, so that a batch has only to be scaled.

    Raises InputError for a missing folder or file, a damaged or mislabelled one, or files that do not agree.

    MNIST is by Yann LeCun, Corinna Cortes and Christopher J. C. Burges, licensed under CC BY-SA 3.0.
    """
    place = SHIPPED if folder is None else Path(folder)
    # os.path, because Path raises for a name that is too long.
    if not os.path.isdir(place):
        raise InputError(f"{place}: no such folder; expected one with the four IDX files of MNIST")
    paths = [
        _find(place, part, content, axes) for part in PARTS for content, axes in (("images", 3), ("labels", 1))
    ]
    if folder is None and verify:
        _verify(paths)
    train_images, train_labels = _read_pair(paths[0], paths[1])
    test_images, test_labels = _read_pair(paths[2], paths[3])
    if train_images.shape[1:] != test_images.shape[1:]:
        raise InputError(
            f"{place}: the training images are {_size(train_images)} pixels, "
            f"the test images {_size(test_images)}; expected one size"
        )
    name = "MNIST" if folder is None else place.resolve().name
    if min(int(train_labels.min()), int(test_labels.min())) == 1:
        train_labels, test_labels = train_labels - np.uint8(1), test_labels - np.uint8(1)
    classes = 1 + max(int(train_labels.max()), int(test_labels.max()))
    train = Dataset(_centred(train_images), train_labels, scale=SCALE, num_classes=classes, name=f"{name} train")
    test = Dataset(_centred(test_images), test_labels, scale=SCALE, num_classes=classes, name=f"{name} test")
    return train, test


def _centred(pixels: NDArray[np.uint8]) -> NDArray[np.int8]:
    """pixel - 128, from 0 .. 255 to -128 .. 127: the same bits but for the highest."""
    return (pixels ^ np.uint8(128)).view(np.int8)


def _find(folder: Path, part: str, content: str, axes: int) -> Path:
    """The one file of this part and content, whatever stands before: "emnist-letters-train-images-idx3-ubyte"."""
    names = [f"{word}-{content}{ending.format(axes=axes)}" for word in PARTS[part] for ending in ENDINGS]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    found = sorted(path for name in names for path in folder.glob(f"*-{name}"))
    if len(found) > 1:
        raise InputError(
            f"{folder}: {len(found)} files of {part} {content}: {', '.join(path.name for path in found)}; "
            "give a folder that holds one of these data sets alone"
        )
    if not found:
        raise InputError(f"{folder}: no {part} {content}; looked for {', '.join(names)}")
    return found[0]


def _read_pair(images_path: Path, labels_path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.ndim != 3:
        raise InputError(
            f"{images_path}: expected images of shape (n, rows, columns), the file holds shape {images.shape}"
            + (", which looks like labels" if images.ndim == 1 else "")
        )
    if labels.ndim != 1:
        raise InputError(
            f"{labels_path}: expected labels of shape (n,), the file holds shape {labels.shape}"
            + (", which looks like images" if labels.ndim == 3 else "")
        )
    if len(images) != len(labels):
        raise InputError(f"{images_path} holds {len(images)} images, but {labels_path} {len(labels)} labels")
    return images, labels


def _verify(paths: list[Path]) -> None:
    table = SHIPPED / "SHA256SUMS"
    try:
        lines = table.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"{table}: cannot be read ({error.strerror}); reinstall the package") from error
    expected = {name: digest for digest, name in (line.split() for line in lines if line.strip())}
    for path in paths:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != expected.get(path.name):
            wanted = expected.get(path.name, "one listed in SHA256SUMS")
            raise InputError(f"{path}: SHA-256 is {digest}, expected {wanted}; reinstall the package")


def _size(images: Array) -> str:
    return "×".join(map(str, images.shape[1:]))
