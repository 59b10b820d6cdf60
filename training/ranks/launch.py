"""``python -m training.ranks.launch -np 4 training/train.py``: horovodrun without its slow checks.

``horovodrun`` imports TensorFlow twice, only to find out that this Horovod was built with Gloo and without MPI.
"""

from __future__ import annotations

from horovod.runner import launch


def main() -> None:
    """Run ``horovodrun`` for a Horovod that was built with Gloo alone, as `tools.horovod_wheel` builds it."""
    launch.mpi_built = lambda verbose=False: False
    launch.gloo_built = lambda verbose=False: True
    launch.run_commandline()


if __name__ == "__main__":
    main()
