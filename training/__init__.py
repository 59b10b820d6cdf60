"""Models, the reading plan, distributed training and evaluation, by Horovod."""
