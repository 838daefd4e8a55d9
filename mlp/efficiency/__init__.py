"""Fewer bits and fewer bytes: mixed precision, quantisation, and what to remember between forward and backward."""

from mlp.efficiency.activation_checkpointing import Recompute
from mlp.efficiency.compression import Compressed
from mlp.efficiency.quantized import QuantizedLinear

__all__ = ["Compressed", "QuantizedLinear", "Recompute"]
