variable "name" {
  description = "What every name begins with."
  type        = string
}

variable "settings" {
  description = "See the root's variable gpu."
  type = object({
    instance_type = string
    workers       = number
    spot          = bool
    efa           = bool
    ami_id        = optional(string)
    ami_parameter = string
    volume_gb     = number
    idle_minutes  = number
  })
}

variable "release" {
  description = "Keys in the artefacts bucket of what `make package` built."
  type        = object({ code = string })
}

variable "tags" {
  description = "Tags of what Auto Scaling launches, which the provider's default tags do not reach."
  type        = map(string)
}

variable "vpc_id" {
  description = "The network."
  type        = string
}

variable "subnet_id" {
  description = "One private subnet: a cluster placement group lies in one zone."
  type        = string
}

variable "buckets" {
  description = "Each bucket's id and arn, by what it is for."
  type        = map(object({ id = string, arn = string }))
}

variable "kms_key_arn" {
  description = "The key that encrypts everything."
  type        = string
}

variable "scripts" {
  description = "Folder of the scripts that run on nodes."
  type        = string
}
