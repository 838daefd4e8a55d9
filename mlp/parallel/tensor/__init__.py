"""Tensor parallelism: layers divided among ranks by their features."""
