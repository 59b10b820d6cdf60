"""What the project needs on a machine: setting it up, and checking that it is as it was proved to work.

The modules that run before the virtual environment exists (``setup``, ``java``,
``horovod_wheel``) use the standard library alone.
"""
