# The stack in a network of your own, with a key and a data bucket of your own, and roles below a permissions boundary.
#
# From the repository's root:
#
#   terraform -chdir=infra/examples/bring-your-own init
#   terraform -chdir=infra/examples/bring-your-own apply
#   make package BUCKET=ARTEFACTS PACKAGE_OPTIONS='--release infra/examples/bring-your-own/release.auto.tfvars.json'
#   terraform -chdir=infra/examples/bring-your-own apply
#   terraform -chdir=infra/examples/bring-your-own output -json stack > stack.json
#   msd-spark aws run --stack stack.json

variable "release" {
  description = "Release uploaded by `make package`; null at first."
  type        = any
  default     = null
}

variable "vpc_id" {
  description = "Your network."
  type        = string
}

variable "private_subnet_ids" {
  description = "Private subnets that reach AWS's APIs by HTTPS, and S3 best through a gateway endpoint; they need the tag for-use-with-amazon-emr-managed-policies = true, as the network does."
  type        = list(string)
}

variable "kms_key_arn" {
  description = "Your key; its policy allows CloudWatch, budgets and log groups to use it."
  type        = string
}

variable "data_location" {
  description = "Data folder in your bucket, s3://BUCKET/PREFIX."
  type        = string
}

variable "permissions_boundary" {
  description = "ARN of the policy that limits every role."
  type        = string
  default     = null
}

module "msd_spark" {
  source = "../.."

  release              = var.release
  data_location        = var.data_location
  permissions_boundary = var.permissions_boundary
  network              = { vpc_id = var.vpc_id, private_subnet_ids = var.private_subnet_ids }
  storage              = { kms_key_arn = var.kms_key_arn }
}

output "stack" {
  description = "The stack, as `msd-spark aws --stack FILE` reads it."
  value       = module.msd_spark.stack
}

output "commands" {
  description = "Commands for your own machine; those of msd-spark need `--stack stack.json` too."
  value       = module.msd_spark.commands
}
