"""Horovod ranks: collectives, devices, seeds and termination."""
