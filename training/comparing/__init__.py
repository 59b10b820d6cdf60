"""Compare models and inputs over several seeds."""
