variable "name" {
  description = "Prefix of every name."
  type        = string
}

variable "settings" {
  description = "See the root's variable run."
  type = object({
    attempts          = number
    poll_seconds      = number
    capacity_minutes  = number
    heartbeat_seconds = number
    hours             = number
  })
}

variable "emr" {
  description = "Request of createCluster without a name, and the roles that it passes on (outputs of module emr); null: no Spark stage can run."
  type        = object({ request = any, role_arns = list(string) })
}

variable "gpu" {
  description = "The group of GPU workers, and their number during training (outputs of module gpu_workers); null: no training can run."
  type        = object({ group = string, group_arn = string, workers = number })
}

variable "ingest" {
  description = "Launch template of the instance that copies the snapshot, its tag Name and its role (outputs of module ingest)."
  type        = object({ template_id = string, template_arn = string, name = string, role_arn = string })
}

variable "topic_arn" {
  description = "Topic that is notified at the end of a run."
  type        = string
}

variable "kms_key_arn" {
  description = "KMS key that encrypts everything."
  type        = string
}

variable "log_days" {
  description = "Retention of the log of executions, in days."
  type        = number
}

variable "permissions_boundary" {
  description = "ARN of the permissions boundary of every role; null for none."
  type        = string
  default     = null
}
