variable "name" {
  description = "Name of the role and of the profile."
  type        = string
}

variable "policy" {
  description = "Policy of the nodes besides Session Manager, as JSON."
  type        = string
}

variable "permissions_boundary" {
  description = "ARN of the role's permissions boundary; null for none."
  type        = string
  default     = null
}
