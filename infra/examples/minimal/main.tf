# The default stack. Without `release` there are buckets, a network and a key; `make package` fills in the rest.
#
# From the repository's root:
#
#   terraform -chdir=infra/examples/minimal init
#   terraform -chdir=infra/examples/minimal apply
#   make package BUCKET=ARTEFACTS PACKAGE_OPTIONS='--release infra/examples/minimal/release.auto.tfvars.json'
#   terraform -chdir=infra/examples/minimal apply
#   terraform -chdir=infra/examples/minimal output -json stack > stack.json
#   msd-spark aws run --stack stack.json

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
  description = "Commands for your own machine; those of msd-spark need `--stack stack.json` too."
  value       = module.msd_spark.commands
}
