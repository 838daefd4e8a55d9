"""Augmentations: training samples as they might have been drawn as well, from those that were.

Each is a function of a batch, ``x, targets = augment(x, targets, rng)``; images may be flattened.
"""

from mlp.data.augmentation.base import Augment, Augmentation, Compose, GaussianNoise
from mlp.data.augmentation.elastic import AffineElastic, ElasticDistortion
from mlp.data.augmentation.geometry import Affine, Rotation, Scaling, Shear, Shift
from mlp.data.augmentation.mixup import Mixup

__all__ = [
    "Affine",
    "AffineElastic",
    "Augment",
    "Augmentation",
    "Compose",
    "ElasticDistortion",
    "GaussianNoise",
    "Mixup",
    "Rotation",
    "Scaling",
    "Shear",
    "Shift",
]
