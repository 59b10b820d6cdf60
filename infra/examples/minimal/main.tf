# The default stack. Without `release` there are buckets, a network and a key; `make package` fills in the rest.

variable "release" {
  description = "Release uploaded by `make package`; null at first."
  type        = any
  default     = null
}

module "msd_spark" {
  source = "../.."

  release = var.release
}

output "stack" {
  description = "The stack, as `msd-spark aws --stack FILE` reads it."
  value       = module.msd_spark.stack
}

output "commands" {
  description = "Commands for your own machine."
  value       = module.msd_spark.commands
}
