variable "name" {
  description = "Prefix of every name."
  type        = string
}

variable "settings" {
  description = "See the root's variable network."
  type = object({
    cidr  = string
    zones = number
  })
}

variable "bucket_arns" {
  description = "Buckets of the stack, which the S3 endpoint allows."
  type        = list(string)
}

variable "kms_key_arn" {
  description = "KMS key of the flow log."
  type        = string
}

variable "log_days" {
  description = "Retention of the flow log, in days."
  type        = number
}

variable "permissions_boundary" {
  description = "ARN of the permissions boundary of every role; null for none."
  type        = string
  default     = null
}
