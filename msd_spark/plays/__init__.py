"""Read Taste Profile triplets into ``plays/`` and ``popularity/``."""
