"""A cost model: what a step of parallel training takes, for any number of ranks."""
