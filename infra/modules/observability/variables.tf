variable "name" {
  description = "What every name begins with."
  type        = string
}

variable "settings" {
  description = "See the root's variable observability."
  type = object({
    email              = optional(string)
    monthly_budget_usd = number
  })
}

variable "project" {
  description = "Value of the tag Project, by which the budget counts."
  type        = string
}

variable "region" {
  description = "Where the dashboard's figures come from."
  type        = string
}

variable "kms_key_arn" {
  description = "The key that encrypts everything."
  type        = string
}

variable "has_cluster" {
  description = "Whether there is a Spark cluster, known before it is made."
  type        = bool
}

variable "cluster_id" {
  description = "The Spark cluster."
  type        = string
}

variable "has_workers" {
  description = "Whether there is a group of GPU workers, known before it is made."
  type        = bool
}

variable "group" {
  description = "The GPU workers' group."
  type        = string
}

