# Training on two workers with four GPUs each, on Spot: it starts with one, and goes on when the other joins or leaves.

variable "release" {
  description = "Release uploaded by `make package`; null at first."
  type        = any
  default     = null
}

module "msd_spark" {
  source = "../.."

  environment = "multi"
  release     = var.release
  gpu = {
    instance_type = "g5.12xlarge"
    workers       = 2
    spot          = true
    elastic       = true
  }
}

output "stack" {
  description = "The stack, as `msd-spark aws --stack FILE` reads it."
  value       = module.msd_spark.stack
}
