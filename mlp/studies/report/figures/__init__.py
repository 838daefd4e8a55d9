"""The report's figures: curves of the 18 settings, use of activations, sweeps. Each function returns a Figure."""

from mlp.studies.report.figures.activation import plot_activation
from mlp.studies.report.figures.curves import plot_curves
from mlp.studies.report.figures.sweeps import plot_final, plot_sweep

__all__ = ["plot_activation", "plot_curves", "plot_final", "plot_sweep"]
