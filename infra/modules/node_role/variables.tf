variable "name" {
  description = "Name of the role and of the profile."
  type        = string
}

variable "policy" {
  description = "What the nodes may do besides letting Session Manager in: the policy's JSON."
  type        = string
}
