"""Fully sharded data parallelism: optimizer, gradients and weights divided among ranks."""
