"""The environment that the project needs: installed versions and Java.

These modules import the standard library and light modules of `msd_spark.core` alone, because `tools/setup.py` imports
them before the virtual environment exists.
"""
