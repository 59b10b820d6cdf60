"""Read song files in any packaging, accounting for every input.

A worker writes the songs of a unit to new files. The driver learns of the unit when its Spark task ends, and the commit
of ``ledger/`` makes it permanent; ``songs/`` and ``rejected/`` follow from the ledger.
"""
