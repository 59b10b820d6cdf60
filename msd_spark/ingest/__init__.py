"""Song files in any packaging into ``songs/``, ``rejected/`` and ``ledger/``, every input accounted for.

The work is cut into units (`units`), found by listing in parallel (`listing`). A worker reads
a unit's songs (`reading`), writes them to files of its own and, last, an outcome that says so
(`work`): from then on the unit is done, whatever happens to the worker or the driver. When all
units are done, the tables are put in place from the outcomes (`publish`), under a lock (`lock`).
"""
