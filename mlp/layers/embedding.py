"""Embedding: a learned vector for each value of a categorical feature."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mlp.arrays import Array
from mlp.checks import InputError, check_dtype, check_integer, check_rng
from mlp.initializers import Initializer, as_initializer, normal
from mlp.layers.base import Layer, check_features, check_upstream
from mlp.layers.containers import Container
from mlp.parameter import Parameter


class Embedding(Layer):
    """y = W[x]: the row of a table for each index, x (...) -> y (..., embedding_dim).

        dL/dW[i] = sum of dL/dy over all places where x = i

    which is what xᵀ dy of a Linear would be if x were written as one-hot rows. An index that occurs several times
    in a batch gets several terms. Indices are whole numbers from 0 to num_embeddings - 1, of an integer or
    floating-point type. dL/dx is 0: an index cannot be moved a little.

    ``weight`` (num_embeddings, embedding_dim) is drawn by ``weight_init`` from ``rng``, by default from N(0, 1).

    Raises ``InputError`` for sizes below 1, and for an x that is not such indices.

    Guo & Berkhahn, "Entity embeddings of categorical variables", 2016, arXiv:1604.06737.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        weight_init: str | Initializer | None = None,
        rng: int | np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__()
        self.num_embeddings = check_integer("Embedding: num_embeddings", num_embeddings, 1)
        self.embedding_dim = check_integer("Embedding: embedding_dim", embedding_dim, 1)
        self.out_features = self.embedding_dim
        self.weight_init = normal(1.0) if weight_init is None else as_initializer(weight_init)
        self.weight = Parameter(np.empty((num_embeddings, embedding_dim), check_dtype(dtype)), "weight")
        self.reset_parameters(check_rng(rng))

    def reset_parameters(self, rng: np.random.Generator) -> None:
        self.weight.data = self.weight_init(self.weight.shape, rng)

    def forward(self, x: Array) -> Array:
        indices = self._as_indices(x)
        self.saved = indices
        return self.weight.data[indices]

    def backward(self, grad_y: Array) -> Array:
        indices = self.recall()
        check_upstream(self, grad_y, (*indices.shape, self.embedding_dim))
        dy = grad_y.reshape(-1, self.embedding_dim)
        self.weight.add(sum_by_index(indices.reshape(-1), dy, self.num_embeddings))
        return np.zeros(indices.shape, grad_y.dtype)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*input_shape, self.embedding_dim)

    def _as_indices(self, x: Array) -> NDArray[np.intp]:
        with np.errstate(invalid="ignore"):  # what has no integer differs from what it is converted to
            indices = x.astype(np.intp)
        wrong = (indices != x) | (indices < 0) | (indices >= self.num_embeddings)
        if wrong.any():
            raise InputError(
                f"{self.name} expects whole numbers from 0 to {self.num_embeddings - 1}, got {x[wrong].flat[0]}"
            )
        return indices

    def __repr__(self) -> str:
        return f"Embedding({self.num_embeddings}, {self.embedding_dim})"


def sum_by_index(indices: NDArray[np.intp], rows: Array, length: int) -> Array:
    """out[i] = sum of the rows whose index is i: (n,) and (n, d) -> (length, d), zeros where no index points."""
    out = np.zeros((length, rows.shape[1]), rows.dtype)
    if len(indices):
        # Sorted by index, the rows of one index are neighbours, and one call sums every run of them.
        order = np.argsort(indices, kind="stable")
        indices = indices[order]
        starts = np.flatnonzero(np.r_[True, indices[1:] != indices[:-1]])
        out[indices[starts]] = np.add.reduceat(rows[order], starts, axis=0)
    return out


class EmbeddedColumns(Container):
    """Replaces categorical columns of a table by their embeddings; the other columns stay as they are:

        EmbeddedColumns(5, {0: Embedding(7, 3), 4: Embedding(12, 4)})      (..., 5) -> (..., 3 + 3 + 4)

    The columns keep their order, an embedded one becoming as many as its embedding is wide.

    Raises ``InputError`` for a column that is not in 0 .. in_features - 1, or something that is no Embedding.
    """

    def __init__(self, in_features: int, embeddings: Mapping[int, Embedding]) -> None:
        self.columns: tuple[int, ...] = ()
        self.embeddings: tuple[Embedding, ...] = ()
        super().__init__()
        self.in_features = check_integer("EmbeddedColumns: in_features", in_features, 1)
        if not embeddings:
            raise InputError("EmbeddedColumns: at least one column with its Embedding is needed, got none")
        for column, embedding in embeddings.items():
            if not isinstance(embedding, Embedding):
                raise InputError(f"EmbeddedColumns: column {column!r} needs an Embedding, got {embedding!r}")
            if not 0 <= check_integer("EmbeddedColumns: column", column, 0) < in_features:
                raise InputError(f"EmbeddedColumns: there are columns 0 to {in_features - 1}, got {column}")
        self.columns = tuple(sorted(embeddings))
        self.embeddings = tuple(embeddings[column] for column in self.columns)
        widths = np.ones(in_features, int)
        widths[list(self.columns)] = [e.embedding_dim for e in self.embeddings]
        ends = np.cumsum(widths)
        self.out_features = int(ends[-1])
        self._places = [slice(int(end - width), int(end)) for end, width in zip(ends, widths, strict=True)]
        self._kept = [column for column in range(in_features) if column not in self.columns]
        self._kept_places = [self._places[column].start for column in self._kept]

    def children(self) -> dict[str, Layer]:
        return {str(column): e for column, e in zip(self.columns, self.embeddings, strict=True)}

    def forward(self, x: Array) -> Array:
        dtype = self.embeddings[0].weight.dtype
        check_features(self, x, self.in_features, dtype)
        y = np.empty(self.output_shape(x.shape), dtype)
        y[..., self._kept_places] = x[..., self._kept]
        for column, embedding in zip(self.columns, self.embeddings, strict=True):
            y[..., self._places[column]] = embedding.forward(x[..., column])
        self.own_saved = x.shape
        return y

    def backward(self, grad_y: Array) -> Array:
        shape = self.recall()
        check_upstream(self, grad_y, self.output_shape(shape))
        grad_x = np.empty(shape, grad_y.dtype)
        grad_x[..., self._kept] = grad_y[..., self._kept_places]
        for column, embedding in zip(self.columns, self.embeddings, strict=True):
            grad_x[..., column] = embedding.backward(grad_y[..., self._places[column]])
        return grad_x

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*input_shape[:-1], self.out_features)

    def __repr__(self) -> str:
        inner = ", ".join(f"{c}: {e!r}" for c, e in zip(self.columns, self.embeddings, strict=True))
        return f"EmbeddedColumns({self.in_features}, {{{inner}}})"
