"""Set up the environment, build Horovod, package for a cluster, write reference pages."""
