"""Run several verbs in one Spark application: ``spark-submit several.py lyrics --train FILE , labels --cd1 FILE``.

An application starts by unpacking the environment on every machine. A verb that fails does not end the others; the last
line printed names those that failed.
"""

from __future__ import annotations

import sys
from itertools import groupby

from msd_spark.core.command_line import run_verb

failed = []
for is_separator, words in groupby(sys.argv[1:], ",".__eq__):
    if not is_separator:
        verb, *options = words
        try:
            run_verb(verb, options)
        except SystemExit:
            failed.append(verb)
print(f"failed: {' '.join(failed) or 'none'}", flush=True)
sys.exit(2 if failed else 0)
