"""Run all stages on AWS: preflight, state machine, progress and cost."""
