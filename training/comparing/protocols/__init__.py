"""Official protocols of the Million Song Dataset, one module each; `run` evaluates baselines under them."""
