variable "name" {
  description = "Prefix of every name."
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
  description = "Value of the tag Project, by which the budget filters."
  type        = string
}

variable "region" {
  description = "Region of the dashboard's metrics."
  type        = string
}

variable "kms_key_arn" {
  description = "KMS key that encrypts everything."
  type        = string
}

variable "has_cluster" {
  description = "Whether there is a Spark cluster, known at plan time."
  type        = bool
}

variable "cluster_id" {
  description = "The Spark cluster."
  type        = string
}

variable "has_workers" {
  description = "Whether there is a group of GPU workers, known at plan time."
  type        = bool
}

variable "group" {
  description = "The GPU workers' group."
  type        = string
}

