"""What an augmentation is: a function of a batch and a random generator, and several of them in a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mlp.arrays import Array
from mlp.checks import InputError, check_integer, check_number, check_rng, check_unmasked

# Images that are worked on together: all arrays of a step then stay in the processor's cache.
BLOCK = 32 * 28 * 28
# A number a stands for neutral - a .. neutral + a; a pair is the range itself.
Range = float | tuple[float, float]


class Augmentation:
    """x', targets' = augment(x, targets, rng): a batch as it might have been drawn as well.

    x (m, features) or, for images, (m, rows · columns) or (m, rows, columns), in float32 or float64; x' has its
    shape and dtype, and is new memory. Arguments are never changed. The same generator state gives the same result.

    A subclass that leaves targets alone writes ``images(x, rng)``, which can also be called by itself. One that
    depends on the weights of a network says so by ``uses_network``: its batches cannot be prepared in advance.
    """

    uses_network = False

    def __call__(self, x: Array, targets: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        return self.images(x, rng), targets

    def images(self, x: Array, rng: np.random.Generator) -> Array:
        """x' alone, for augmentations that leave targets as they are."""
        raise InputError(f"{type(self).__name__} needs targets: call it as augment(x, targets, rng)")


Augment = Callable[[Array, Array, np.random.Generator], tuple[Array, Array]]


class Compose(Augmentation):
    """One augmentation after another: augment_n(... augment_1(x)).

    Two geometric ones in a row blur twice, and take twice as long: ``Affine`` and ``AffineElastic`` do several in
    one resampling. Raises ``InputError`` for something that cannot be called.
    """

    def __init__(self, augmentations: Sequence[Augment]) -> None:
        self.augmentations = tuple(augmentations)
        for augment in self.augmentations:
            if not callable(augment):
                raise InputError(f"Compose: {augment!r} is not an augmentation")
        self.uses_network = any(getattr(augment, "uses_network", False) for augment in self.augmentations)

    def __call__(self, x: Array, targets: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        x = x if self.augmentations else x.copy()
        for augment in self.augmentations:
            x, targets = augment(x, targets, rng)
        return x, targets

    def images(self, x: Array, rng: np.random.Generator) -> Array:
        x = x if self.augmentations else x.copy()
        for augment in self.augmentations:
            if not isinstance(augment, Augmentation):
                raise InputError(f"Compose: {augment!r} needs targets: call it as augment(x, targets, rng)")
            x = augment.images(x, rng)
        return x

    def __repr__(self) -> str:
        return f"Compose([{', '.join(map(repr, self.augmentations))}])"


class GaussianNoise(Augmentation):
    """x' = x + std · n, with n from N(0, 1), for each feature anew; std in the unit of x. Nothing is clipped.

    For small noise, training with it is a penalty on the network's gradient with respect to x: Bishop, "Training
    with noise is equivalent to Tikhonov regularization", Neural Computation 1995.
    """

    def __init__(self, std: float) -> None:
        self.std = check_number("GaussianNoise: std", std, 0)

    def images(self, x: Array, rng: np.random.Generator) -> Array:
        check_floats("GaussianNoise", x)
        if self.std == 0:
            return x.copy()
        noise = check_rng(rng).standard_normal(x.shape, dtype=x.dtype)
        noise *= self.std
        noise += x
        return noise

    def __repr__(self) -> str:
        return f"GaussianNoise({self.std:g})"


class ImageAugmentation(Augmentation):
    """An augmentation of images of ``image_shape`` (rows, columns).

    A subclass writes ``change(images, rng)`` for images (m, rows, columns), which it gets in blocks, and
    ``is_identity()``, which tells that its strength is 0: x' is then a copy of x to the last bit.
    """

    def __init__(self, image_shape: tuple[int, int]) -> None:
        name = type(self).__name__
        if not isinstance(image_shape, tuple) or len(image_shape) != 2:
            raise InputError(f"{name}: image_shape must be (rows, columns), got {image_shape!r}")
        self.image_shape = (
            check_integer(f"{name}: rows of image_shape", image_shape[0], 1),
            check_integer(f"{name}: columns of image_shape", image_shape[1], 1),
        )

    def is_identity(self) -> bool:
        """Whether nothing is ever changed."""
        raise NotImplementedError

    def change(self, images: Array, rng: np.random.Generator) -> Array:
        """New images (m, rows, columns) from a block of images of this shape."""
        raise NotImplementedError

    def images(self, x: Array, rng: np.random.Generator) -> Array:
        images, rng = self._as_images(x), check_rng(rng)
        if self.is_identity():
            return x.copy()
        size = max(1, BLOCK // images[0].size) if len(images) else 1
        changed = np.empty(images.shape, images.dtype)
        for start in range(0, len(images), size):
            block = slice(start, start + size)
            changed[block] = self.change(images[block], rng)
        return changed.reshape(x.shape)

    def _as_images(self, x: Array) -> Array:
        check_floats(type(self).__name__, x)
        rows, columns = self.image_shape
        if x.shape[1:] not in ((rows * columns,), (rows, columns)):
            raise InputError(
                f"{type(self).__name__}: images of another size: expected (m, {rows * columns}) or "
                f"(m, {rows}, {columns}), got shape {x.shape}"
            )
        return x.reshape(-1, rows, columns)


def check_floats(name: str, x: Array) -> None:
    """Raise ``InputError`` unless x is a batch of float32 or float64."""
    check_unmasked(f"{name}: x", x)
    if not isinstance(x, np.ndarray) or x.dtype not in (np.float32, np.float64):
        kind = x.dtype if isinstance(x, np.ndarray) else type(x).__name__
        raise InputError(f"{name}: x must be an array of float32 or float64, got {kind}")
    if x.ndim < 2:
        raise InputError(f"{name}: x must be a batch (m, features), got shape {x.shape}")


def check_range(name: str, given: Range, neutral: float, low: float, high: float) -> tuple[float, float]:
    """(least, most) for a number a, neutral - a .. neutral + a, or a pair, both from low to high."""
    if isinstance(given, tuple | list):
        if len(given) != 2:
            raise InputError(f"{name} must be a number or a pair (least, most), got {given!r}")
        least, most = (check_number(name, value, low, high) for value in given)
        if least > most:
            raise InputError(f"{name}: the range {given!r} ends below its start")
        return least, most
    extent = check_number(name, given, 0, min(high - neutral, neutral - low))
    return neutral - extent, neutral + extent
