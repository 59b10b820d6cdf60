variable "name" {
  description = "Prefix of every name."
  type        = string
}

variable "settings" {
  description = "See the root's variable ingest."
  type = object({
    snapshot_id   = string
    folder        = string
    instance_type = string
    volume_gb     = number
    ami_id        = optional(string)
    ami_parameter = string
  })
}

variable "tags" {
  description = "Tags of the instance and its disks, which do not get the provider's default tags."
  type        = map(string)
}

variable "vpc_id" {
  description = "The network."
  type        = string
}

variable "subnet_id" {
  description = "A private subnet."
  type        = string
}

variable "buckets" {
  description = "ID and ARN of each bucket, by purpose."
  type        = map(object({ id = string, arn = string }))
}

variable "target" {
  description = "S3 URI of the shards."
  type        = string
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
