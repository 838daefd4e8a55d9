"""Data sets and mini-batches: what a network is trained on, and how it reaches the network."""

from mlp.data.batches import Batches
from mlp.data.dataset import Dataset
from mlp.data.idx import read_idx
from mlp.data.mnist import load_mnist

__all__ = ["Batches", "Dataset", "load_mnist", "read_idx"]
