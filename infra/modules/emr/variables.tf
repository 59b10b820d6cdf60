variable "name" {
  description = "What every name begins with."
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
    steps = list(object({
      name      = string
      job       = string
      arguments = list(string)
    }))
  })
}

variable "release" {
  description = "Keys in the artefacts bucket of what `make package` built."
  type        = object({ code = string, environment = string, certificates = string })
}

variable "vpc_id" {
  description = "The network."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets; EMR takes the one with the capacity it looks for."
  type        = list(string)
}

variable "buckets" {
  description = "Each bucket's id and arn, by what it is for."
  type        = map(object({ id = string, arn = string }))
}

variable "songs_bucket_arn" {
  description = "A bucket of the user's own that holds songs, read only; null for none."
  type        = string
  default     = null
}

variable "kms_key_arn" {
  description = "The key that encrypts everything."
  type        = string
}

variable "bootstrap_script" {
  description = "Path of nodes/emr_bootstrap.sh."
  type        = string
}
