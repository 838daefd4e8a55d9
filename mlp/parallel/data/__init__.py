"""Data parallelism: the whole network on every rank, the batch divided."""
