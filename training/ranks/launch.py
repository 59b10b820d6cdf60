"""``python -m training.ranks.launch -np 4 training/train.py``: horovodrun without its slow checks.

``horovodrun`` imports TensorFlow twice, only to find out that this Horovod was built with Gloo and without MPI.
"""

from __future__ import annotations

import sys

from horovod.runner import launch


def main() -> None:
    """Run ``horovodrun`` for a Horovod that was built only with Gloo, as `tools.horovod_wheel` builds it."""
    launch.mpi_built = lambda verbose=False: False
    launch.gloo_built = lambda verbose=False: True
    try:
        launch.run_commandline()
    except RuntimeError as error:
        if "processes exited with non-zero" not in str(error):
            raise
        sys.exit(2)  # the rank has printed its error


if __name__ == "__main__":
    main()
