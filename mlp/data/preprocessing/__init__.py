"""Maps of the inputs that are fitted on the training set alone, and then applied to every set alike."""

from functools import partial

from mlp.data.preprocessing.base import Preprocessing
from mlp.data.preprocessing.pca import PCA, Decorrelate, Whiten
from mlp.data.preprocessing.pipeline import Pipeline
from mlp.data.preprocessing.scaling import Center, Standardize
from mlp.registry import Registry

# By the names that a configuration gives them. PCA, which needs a number of components, is a setting of its own.
PREPROCESSINGS: Registry[Preprocessing] = Registry("preprocessing", {
    "center": Center,
    "standardize": Standardize,
    "decorrelate": Decorrelate,
    "whiten_pca": partial(Whiten, "pca"),
    "whiten_zca": partial(Whiten, "zca"),
})  # fmt: skip

__all__ = ["PCA", "Center", "Decorrelate", "Pipeline", "Preprocessing", "Standardize", "Whiten"]
