"""Maps of the inputs that are fitted on the training set alone, and then applied to every set alike."""

from mlp.data.preprocessing.base import Preprocessing
from mlp.data.preprocessing.pca import PCA, Decorrelate, Whiten
from mlp.data.preprocessing.pipeline import Pipeline
from mlp.data.preprocessing.scaling import Center, Standardize

__all__ = ["PCA", "Center", "Decorrelate", "Pipeline", "Preprocessing", "Standardize", "Whiten"]
