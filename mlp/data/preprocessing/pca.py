"""The directions in which the inputs vary most, and what can be done with them: rotate, leave out, whiten."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlp.arrays import Array
from mlp.checks import InputError, check_integer, check_number
from mlp.data.preprocessing.base import Array64, Blocks, Centred, mean_of


class PrincipalAxes(Centred):
    """The principal axes of the training set: orthonormal directions v_i in which it varies most, in this order,
    and the variances λ_i of their coordinates v_i · (x - mean), which are uncorrelated.

        C = sum (x - mean) (x - mean)ᵀ / (n - 1) = V diag(λ) Vᵀ

    Axes are the rows of ``components`` (k, features); ``variances`` (features,) has all λ, largest first. An axis
    is as good as its opposite: of its entries, the one of largest size (the first of equals) is made positive.

    C divides by n - 1, as ``np.cov`` does, so ``fit`` needs two samples. A λ that is 0 up to rounding,
    λ ≤ λ_1 · features · ε with ε = 2.2e-16, is set to 0: a constant feature makes one.

    Pearson, "On lines and planes of closest fit to systems of points in space", Philosophical Magazine 1901.
    """

    keeps_features = False
    components: Array64
    variances: Array64

    def number(self, features: int) -> int:
        """How many axes are kept, k."""
        return features

    def shapes(self, features: int) -> dict[str, tuple[int, ...]]:
        return {"mean": (features,), "components": (self.number(features), features), "variances": (features,)}

    def fit_blocks(self, blocks: Blocks) -> None:
        mean, samples = mean_of(blocks)
        k = self.number(len(mean))
        if samples < 2 or k > len(mean):
            shape = (samples, len(mean))
            raise InputError(f"{type(self).__name__}.fit: {k} axes need x of (2, {k}) or more, got {shape}")
        C = np.zeros((len(mean), len(mean)))
        for x in blocks():
            x -= mean
            C += x.T @ x
        C /= samples - 1
        variances, V = np.linalg.eigh(C)  # ascending, axes in columns
        variances, axes = variances[::-1].copy(), V.T[::-1]
        largest = np.take_along_axis(axes, abs(axes).argmax(axis=1)[:, np.newaxis], axis=1)
        variances[variances <= variances[0] * len(mean) * np.finfo(np.float64).eps] = 0
        self.mean, self.variances, self.components = mean, variances, (axes * np.sign(largest))[:k]

    def coordinates(self, x: Array) -> Array:
        """(x - mean) · v_i for every axis: (n, k)."""
        return self.centre(x) @ self.components.T.astype(x.dtype)

    def from_coordinates(self, c: Array) -> Array:
        """mean + sum_i c_i v_i: (n, features)."""
        return self.add_mean(c @ self.components.astype(c.dtype))

    def transform(self, x: Array) -> Array:
        return self.coordinates(x)

    def inverse_transform(self, z: Array) -> Array:
        self._check(z, len(self._fitted("components")))
        return self.from_coordinates(z)


class Decorrelate(PrincipalAxes):
    """z = V ᵀ(x - mean): x in the coordinates of its principal axes, all of them.

    A rotation, or a rotation and a reflection: distances stay, the covariance becomes diagonal, and the inverse is
    exact. See ``PrincipalAxes``.
    """


class PCA(PrincipalAxes):
    """z = the first ``n_components`` coordinates on the principal axes: what is left out varies least.

    Of all ways to keep so many linear numbers, the inverse, x ≈ mean + sum z_i v_i, has the smallest squared error:
    (n - 1)/n times the sum of the ``variances`` left out, on average over the training set. See ``PrincipalAxes``.

    Raises ``InputError`` if x has fewer features than ``n_components``.
    """

    def __init__(self, n_components: int) -> None:
        self.n_components = check_integer("PCA: n_components", n_components, 1)

    def number(self, features: int) -> int:
        return self.n_components

    @property
    def explained_variance_ratio(self) -> Array64:
        """The share of each kept axis in the variance of the training set: (n_components,)."""
        variances = self._fitted("variances")
        return variances[: self.n_components] / (variances.sum() or 1)

    def __repr__(self) -> str:
        return f"PCA({self.n_components})"


class Whiten(PrincipalAxes):
    """Coordinates on the principal axes, divided by their standard deviations:

        pca: z = D V ᵀ(x - mean)      zca: z = V D V ᵀ(x - mean),      D = diag(1 / sqrt(λ_i + epsilon))

    For epsilon = 0 the covariance of z is the identity; a larger epsilon, a variance in the unit of x², holds back
    the directions in which there is little but noise. ZCA turns back to the features of x: of all whitened data it
    is nearest to x, and images stay images.

    A direction in which the training set does not vary (λ_i = 0) is left out, its D is 0. So the inverse is exact
    for rows that vary as the training set did, and for others the nearest such row. See ``PrincipalAxes``.

    Raises ``InputError`` for another method, or a negative epsilon.

    Bell & Sejnowski, "The 'independent components' of natural scenes are edge filters", Vision Research 1997.
    """

    def __init__(self, method: str = "pca", epsilon: float = 1e-5) -> None:
        if method not in ("pca", "zca"):
            raise InputError(f"Whiten: method must be 'pca' or 'zca', got {method!r}")
        self.method = method
        self.epsilon = check_number("Whiten: epsilon", epsilon, 0)
        self.keeps_features = method == "zca"

    def transform(self, x: Array) -> Array:
        z = self.coordinates(x)
        scale = self._deviations()
        z *= np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0).astype(x.dtype)
        return z @ self.components.astype(x.dtype) if self.method == "zca" else z

    def inverse_transform(self, z: Array) -> Array:
        self._check(z, len(self._fitted("components")))
        if self.method == "zca":
            z = z @ self.components.T.astype(z.dtype)
        return self.from_coordinates(z * self._deviations().astype(z.dtype))

    def _deviations(self) -> NDArray[np.float64]:
        """sqrt(λ_i + epsilon), and 0 where λ_i is 0."""
        return np.where(self.variances > 0, np.sqrt(self.variances + self.epsilon), 0)

    def __repr__(self) -> str:
        return f"Whiten({self.method!r}, epsilon={self.epsilon:g})"
