"""The tests of msd-spark.

Horovod makes the symbols of TensorFlow's libraries global, and these contain an SQLite without FTS5. So Python's SQLite
is loaded and bound to its own library first, as one process may run tests of both.
"""

import os
import sys

_flags = sys.getdlopenflags()
sys.setdlopenflags(os.RTLD_NOW)
import sqlite3  # noqa: E402, F401  # isort: skip

sys.setdlopenflags(_flags)
