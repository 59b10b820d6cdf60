"""Read a dataset: plan, files, batches, targets and augmentation."""
