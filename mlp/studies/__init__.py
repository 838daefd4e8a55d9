"""What was measured with mlp, and is not needed to use it: experiments, the report, the cost model."""
