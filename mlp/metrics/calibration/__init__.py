"""Whether probabilities can be believed (bins.py), and making them so after training (scaling.py)."""

from mlp.metrics.calibration.bins import (
    ReliabilityBins,
    adaptive_calibration_error,
    average_calibration_error,
    expected_calibration_error,
    maximum_calibration_error,
    reliability_bins,
    static_calibration_error,
)
from mlp.metrics.calibration.scaling import PlattScaling, TemperatureScaling

__all__ = [
    "PlattScaling",
    "ReliabilityBins",
    "TemperatureScaling",
    "adaptive_calibration_error",
    "average_calibration_error",
    "expected_calibration_error",
    "maximum_calibration_error",
    "reliability_bins",
    "static_calibration_error",
]
