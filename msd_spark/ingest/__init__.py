"""Read song files in any packaging, accounting for every input.

The work is split into units (`units`), by listing in parallel (`listing`). A worker reads the songs of a unit
(`reading`), writes them to files of its own and, last, an outcome (`work`): from then on the unit is done, even if the
worker or the driver dies. When all units are done, the tables are published from the outcomes (`publish`). A lock
prevents two ingests at once (`lock`).
"""
