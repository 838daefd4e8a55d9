"""Data sets and mini-batches: what a network is trained on, and how it reaches the network."""

from mlp.data import augmentation, preprocessing
from mlp.data.batches import Batches
from mlp.data.dataset import Dataset
from mlp.data.derived import corrupt_labels, oversample, upsample
from mlp.data.idx import read_idx
from mlp.data.labels import class_weights, smooth_labels
from mlp.data.mnist import load_mnist

__all__ = [
    "Batches",
    "Dataset",
    "augmentation",
    "class_weights",
    "corrupt_labels",
    "load_mnist",
    "oversample",
    "preprocessing",
    "read_idx",
    "smooth_labels",
    "upsample",
]
