"""load_mnist: the known facts of MNIST, and small folders that look like it or almost."""

import gzip
import shutil
import struct

import numpy as np
import pytest

from mlp.checks import InputError
from mlp.data import Batches, load_mnist, mnist


@pytest.fixture(scope="module")
def shipped():
    return load_mnist()


def idx(array):
    array = np.asarray(array, dtype=np.uint8)
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_folder(folder, *, train=(4, 3, 2), test=(2, 3, 2), separator="-", ending="", pack=bytes):
    for part, shape, labels in (("train", train, [0, 3, 1, 2]), ("t10k", test, [4, 0])):
        pixels = np.arange(np.prod(shape)).reshape(shape)
        (folder / f"{part}-images{separator}idx3-ubyte{ending}").write_bytes(pack(idx(pixels)))
        (folder / f"{part}-labels{separator}idx1-ubyte{ending}").write_bytes(pack(idx(labels)))
    return folder


def test_facts_of_the_training_set(shipped):
    train, _ = shipped
    assert train.stored.shape == (60000, 784)
    assert train.stored.dtype == np.int8  # pixel - 128
    assert np.bincount(train.labels).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert train.stored.mean() + 128 == pytest.approx(33.3184, abs=1e-4)
    assert train.stored.std() == pytest.approx(78.5675, abs=1e-4)


def test_facts_of_the_test_set(shipped):
    _, test = shipped
    assert test.stored.shape == (10000, 784)
    assert np.bincount(test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert test.labels[:5].tolist() == [7, 2, 1, 0, 4]


def test_normalisation_and_shape(shipped):
    for data, name in zip(shipped, ("MNIST train", "MNIST test"), strict=True):
        assert (data.offset, data.scale) == (0, 1 / 255)
        assert (data.num_classes, data.image_shape, data.name) == (10, (28, 28), name)
    x, y = Batches(shipped[1], 100).load(np.arange(100))
    assert y[0] == 7
    assert x.min() == pytest.approx(-128 / 255, rel=2e-7)
    assert x.max() == pytest.approx(127 / 255, rel=2e-7)


@pytest.mark.parametrize("separator", ["-", "."])
@pytest.mark.parametrize(("ending", "pack"), [("", bytes), (".gz", gzip.compress)])
def test_another_folder(tmp_path, separator, ending, pack):
    train, test = load_mnist(write_folder(tmp_path, separator=separator, ending=ending, pack=pack))
    assert (train.stored.astype(int) + 128).tolist() == np.arange(24).reshape(4, 6).tolist()
    assert test.labels.tolist() == [4, 0]
    assert train.num_classes == test.num_classes == 5  # the 4 occurs in the test set alone
    assert train.image_shape == (3, 2)
    assert train.name == f"{tmp_path.name} train"


def test_letters_of_emnist(tmp_path):
    for part, labels in (("train", [1, 4, 2, 3]), ("test", [5, 1])):
        start = f"emnist-letters-{part}"
        (tmp_path / f"{start}-images-idx3-ubyte").write_bytes(idx(np.zeros((len(labels), 3, 2))))
        (tmp_path / f"{start}-labels-idx1-ubyte").write_bytes(idx(labels))
    train, test = load_mnist(tmp_path)
    assert train.labels.tolist() == [0, 3, 1, 2]  # from 0, and not from 1
    assert test.labels.tolist() == [4, 0]
    assert train.num_classes == test.num_classes == 5
    (tmp_path / "emnist-digits-test-labels-idx1-ubyte").write_bytes(idx([0, 1]))
    with pytest.raises(InputError, match=r"2 files of test labels: emnist-digits-.*, emnist-letters-.*alone"):
        load_mnist(tmp_path)


def test_labels_without_0_in_one_of_the_parts_stay(tmp_path):
    train, test = load_mnist(write_folder(tmp_path))
    assert train.labels.min() == test.labels.min() == 0


def test_missing_folder(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such folder"):
        load_mnist(tmp_path / "nowhere")


def test_missing_file_names_what_was_looked_for(tmp_path):
    (write_folder(tmp_path) / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(InputError, match=r"no test labels; looked for t10k-labels-idx1-ubyte\.gz, .*\.idx1-ubyte"):
        load_mnist(tmp_path)


def test_labels_where_images_are_expected(tmp_path):
    write_folder(tmp_path)
    shutil.copy(tmp_path / "train-labels-idx1-ubyte", tmp_path / "train-images-idx3-ubyte")
    with pytest.raises(InputError, match=r"train-images.*expected images.*shape \(4,\), which looks like labels"):
        load_mnist(tmp_path)


def test_images_where_labels_are_expected(tmp_path):
    write_folder(tmp_path)
    shutil.copy(tmp_path / "t10k-images-idx3-ubyte", tmp_path / "t10k-labels-idx1-ubyte")
    with pytest.raises(InputError, match=r"t10k-labels.*expected labels.*which looks like images"):
        load_mnist(tmp_path)


def test_numbers_of_images_and_labels_differ(tmp_path):
    with pytest.raises(InputError, match=r"holds 5 images, but .*train-labels-idx1-ubyte 4 labels"):
        load_mnist(write_folder(tmp_path, train=(5, 3, 2)))


def test_image_sizes_differ(tmp_path):
    with pytest.raises(InputError, match="training images are 3×2 pixels, the test images 2×3"):
        load_mnist(write_folder(tmp_path, test=(2, 2, 3)))


def test_damaged_file_is_named(tmp_path):
    (write_folder(tmp_path) / "train-images-idx3-ubyte").write_bytes(b"<html>")
    with pytest.raises(InputError, match="train-images-idx3-ubyte: not an IDX file"):
        load_mnist(tmp_path)


def test_shipped_files_are_verified(tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "SHIPPED", write_folder(tmp_path))
    with pytest.raises(InputError, match="SHA256SUMS: cannot be read"):
        load_mnist()
    (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  train-images-idx3-ubyte\n")
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte: SHA-256 is [0-9a-f]{64}, expected 0{64}"):
        load_mnist()
    assert len(load_mnist(verify=False)[0]) == 4
    (tmp_path / "SHA256SUMS").write_text("")
    with pytest.raises(InputError, match="expected one listed in SHA256SUMS"):
        load_mnist()
