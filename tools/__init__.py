"""Set up the environment, build Horovod, package code for a cluster and write the reference pages."""
