"""Train a model on all ranks: options, schedule, optimizer, checkpoints and inference."""
