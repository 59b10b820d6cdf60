variable "name" {
  description = "Name of the role and of the profile."
  type        = string
}

variable "policy" {
  description = "Policy of the nodes besides Session Manager, as JSON."
  type        = string
}
