variable "name" {
  description = "Prefix of every name."
  type        = string
}

variable "settings" {
  description = "See the root's variable storage."
  type = object({
    force_destroy       = bool
    previous_versions   = number
    log_days            = number
    infrequent_raw_days = number
    kms_key_arn         = optional(string)
  })
}
