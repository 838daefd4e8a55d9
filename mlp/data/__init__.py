"""Data sets and mini-batches: what a network is trained on, and how it reaches the network."""

from mlp.data import augmentation, preprocessing
from mlp.data.batches import Batches
from mlp.data.dataset import Dataset
from mlp.data.idx import read_idx
from mlp.data.labels import class_weights, corrupt_labels, smooth_labels
from mlp.data.mnist import load_mnist
from mlp.data.sampling import upsample

__all__ = [
    "Batches",
    "Dataset",
    "augmentation",
    "class_weights",
    "corrupt_labels",
    "load_mnist",
    "preprocessing",
    "read_idx",
    "smooth_labels",
    "upsample",
]
