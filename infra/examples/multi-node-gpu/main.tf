# Training on two workers with four GPUs each, on Spot: it starts with one and continues when the other joins or leaves.
#
# From the repository's root:
#
#   terraform -chdir=infra/examples/multi-node-gpu init
#   terraform -chdir=infra/examples/multi-node-gpu apply
#   make package BUCKET=ARTEFACTS PACKAGE_OPTIONS='--release infra/examples/multi-node-gpu/release.auto.tfvars.json'
#   terraform -chdir=infra/examples/multi-node-gpu apply
#   terraform -chdir=infra/examples/multi-node-gpu output -json stack > stack.json
#   msd-spark aws run --stack stack.json

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

output "commands" {
  description = "Commands for your own machine; those of msd-spark need `--stack stack.json` too."
  value       = module.msd_spark.commands
}
