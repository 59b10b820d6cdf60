"""Read song files in any packaging, accounting for every input.

A worker writes the songs of a unit to files of its own and, last, an outcome: from then on the unit is done, even if
the worker or the driver dies. When all units are done, the tables are published from the outcomes.
"""
