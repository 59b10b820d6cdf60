"""The Horovod side of msd-spark: models, the reading plan, distributed training and evaluation."""
