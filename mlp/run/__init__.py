"""From settings to a run folder: what `train.sh` does."""
