"""Pipeline parallelism: layers divided among ranks, microbatches following each other through them."""
