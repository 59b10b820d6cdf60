variable "name" {
  description = "What every name begins with."
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
  description = "The stack's buckets, which the S3 endpoint lets through."
  type        = list(string)
}

variable "kms_key_arn" {
  description = "Encrypts the flow log."
  type        = string
}

variable "log_days" {
  description = "How long the flow log is kept."
  type        = number
}
