variable "name" {
  description = "Prefix of every name."
  type        = string
}

variable "settings" {
  description = "See the root's variable gpu."
  type = object({
    instance_type = string
    workers       = number
    spot          = bool
    min_workers   = optional(number)
    ami_id        = optional(string)
    ami_name      = string
    cuda          = optional(string, "/usr/local/cuda-12.5")
    volume_gb     = number
    idle_minutes  = number
  })
}

variable "release" {
  description = "Keys of the release in the artefacts bucket, written by `make package`."
  type        = object({ code = string, gpu_environment = string })
}

variable "tags" {
  description = "Tags of the instances launched by Auto Scaling, which do not get the provider's default tags."
  type        = map(string)
}

variable "vpc_id" {
  description = "The network."
  type        = string
}

variable "subnet_id" {
  description = "One private subnet: a cluster placement group is in one zone."
  type        = string
}

variable "buckets" {
  description = "ID and ARN of each bucket, by purpose."
  type        = map(object({ id = string, arn = string }))
}

variable "kms_key_arn" {
  description = "KMS key that encrypts everything."
  type        = string
}

variable "scripts" {
  description = "Folder of the scripts that run on nodes."
  type        = string
}

variable "permissions_boundary" {
  description = "ARN of the permissions boundary of every role; null for none."
  type        = string
  default     = null
}
