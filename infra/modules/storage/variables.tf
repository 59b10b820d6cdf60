variable "name" {
  description = "What every name begins with."
  type        = string
}

variable "settings" {
  description = "See the root's variable storage."
  type = object({
    force_destroy       = bool
    previous_versions   = number
    log_days            = number
    infrequent_raw_days = number
  })
}
