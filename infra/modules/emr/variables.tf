variable "name" {
  description = "Prefix of every name."
  type        = string
}

variable "settings" {
  description = "See the root's variable emr."
  type = object({
    release_label          = string
    primary_instance_types = list(string)
    core_instance_types    = list(string)
    task_instance_types    = list(string)
    core_vcpus             = number
    task_vcpus             = number
    idle_minutes           = number
    termination_protection = bool
    interactive            = bool
  })
}

variable "types" {
  description = "Sizing by instance type: infra/instance_types.json."
  type        = map(object({ vcpus = number, executor_cores = number, executor_mb = number, driver_mb = number }))
}

variable "tags" {
  description = "Tags of the clusters of the state machine, which do not get the provider's default tags."
  type        = map(string)
}

variable "permissions_boundary" {
  description = "ARN of the permissions boundary of every role; null for none."
  type        = string
  default     = null
}

variable "release" {
  description = "Keys of the release in the artefacts bucket, written by `make package`."
  type        = object({ code = string, environment = string, certificates = string })
}

variable "vpc_id" {
  description = "The network."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets; EMR chooses the one with capacity."
  type        = list(string)
}

variable "buckets" {
  description = "ID and ARN of each bucket, by purpose."
  type        = map(object({ id = string, arn = string }))
}

variable "data_bucket_arn" {
  description = "A bucket of the user's own with the data folder, read only; null for none."
  type        = string
  default     = null
}

variable "kms_key_arn" {
  description = "KMS key that encrypts everything."
  type        = string
}

variable "bootstrap_script" {
  description = "Path of nodes/emr_bootstrap.sh."
  type        = string
}
