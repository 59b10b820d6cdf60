"""Search for hyperparameters with Optuna."""
