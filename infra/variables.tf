variable "project" {
  description = "First part of every name, and the tag Project."
  type        = string
  default     = "msd-spark"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,13}[a-z0-9]$", var.project))
    error_message = "project must have 3 to 15 characters of a-z, 0-9 and -, begin with a letter and not end with -: it is part of bucket names."
  }
}

variable "environment" {
  description = "Second part of every name, and the tag Environment; different for each stack of an account."
  type        = string
  default     = "dev"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,7}$", var.environment))
    error_message = "environment must have 2 to 8 characters of a-z and 0-9 and begin with a letter, for example dev or prod."
  }
}

variable "region" {
  description = "AWS region. The dataset's public snapshot is in us-east-1."
  type        = string
  default     = "us-east-1"

  validation {
    condition     = can(regex("^(af|ap|ca|eu|il|me|mx|sa|us)-[a-z]+-[0-9]$", var.region))
    error_message = "region must be a region of AWS's commercial partition, for example us-east-1."
  }
}

variable "tags" {
  description = "Further tags of every resource, for example an owner or a cost centre."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(setintersection(keys(var.tags), ["Project", "Environment", "ManagedBy", "Name"])) == 0
    error_message = "tags may not hold Project, Environment, ManagedBy or Name: the stack sets these."
  }
}

variable "release" {
  description = "Release uploaded by `make package`, which writes this into release.auto.tfvars.json. Without a release there are buckets and a network, but no state machine and no GPU workers."
  type = object({
    code            = string
    environment     = string
    gpu_environment = string
    certificates    = string
  })
  default = null

  validation {
    condition = var.release == null || alltrue([
      can(regex("^code/[^/]+\\.tar\\.gz$", try(var.release.code, ""))),
      can(regex("^environment/[^/]+\\.tar\\.gz$", try(var.release.environment, ""))),
      can(regex("^gpu_environment/[^/]+\\.tar\\.gz$", try(var.release.gpu_environment, ""))),
      can(regex("^certificates/[^/]+\\.zip$", try(var.release.certificates, ""))),
    ])
    error_message = "release must name code/*.tar.gz, environment/*.tar.gz, gpu_environment/*.tar.gz and certificates/*.zip in the artefacts bucket; let `make package` write it."
  }
}

variable "data_location" {
  description = "Data folder in a bucket of your own, s3://BUCKET or s3://BUCKET/PREFIX, read only. Null: the raw bucket."
  type        = string
  default     = null

  validation {
    condition     = var.data_location == null || can(regex("^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.+)?$", var.data_location))
    error_message = "data_location must be s3://BUCKET or s3://BUCKET/PREFIX."
  }
}

variable "permissions_boundary" {
  description = "ARN of the permissions boundary of every role that the stack creates; null for none."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary == null || can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/.+$", var.permissions_boundary))
    error_message = "permissions_boundary must be the ARN of a policy, arn:aws:iam::ACCOUNT:policy/NAME."
  }
}

variable "run" {
  description = "State machine. attempts: tries per stage, including the first. poll_seconds: interval between checks for GPU workers. capacity_minutes: longest wait for the first worker. heartbeat_seconds: time without a heartbeat after which an instance counts as lost (instances send one per minute). hours: longest duration of a run."
  type = object({
    attempts          = optional(number, 2)
    poll_seconds      = optional(number, 60)
    capacity_minutes  = optional(number, 60)
    heartbeat_seconds = optional(number, 900)
    hours             = optional(number, 96)
  })
  default = {}

  validation {
    condition     = var.run.attempts >= 1 && var.run.attempts <= 5 && floor(var.run.attempts) == var.run.attempts
    error_message = "run.attempts must be a whole number from 1 to 5."
  }

  validation {
    condition     = var.run.poll_seconds >= 1 && var.run.poll_seconds <= 600 && var.run.capacity_minutes > 0 && var.run.heartbeat_seconds >= 5 && var.run.heartbeat_seconds <= 3600 && var.run.hours >= 1 && var.run.hours <= 720
    error_message = "run.poll_seconds must be between 1 and 600, run.capacity_minutes above 0, run.heartbeat_seconds between 5 and 3600, and run.hours between 1 and 720."
  }
}

variable "network" {
  description = "New network: cidr, its address range; zones, the number of zones in which EMR looks for capacity. Existing network: vpc_id and private_subnet_ids, which must reach the AWS APIs by HTTPS; GPU workers use the first subnet."
  type = object({
    cidr               = optional(string, "10.42.0.0/16")
    zones              = optional(number, 2)
    vpc_id             = optional(string)
    private_subnet_ids = optional(list(string), [])
  })
  default = {}

  validation {
    condition     = can(regex("/(1[6-9]|20)$", var.network.cidr)) && can(cidrsubnet(var.network.cidr, 8, 255))
    error_message = "network.cidr must be an IPv4 range between /16 and /20, for example 10.42.0.0/16: it is divided into one subnet per zone."
  }

  validation {
    condition     = var.network.zones >= 1 && var.network.zones <= 6
    error_message = "network.zones must be between 1 and 6."
  }

  validation {
    condition     = (var.network.vpc_id == null) == (length(var.network.private_subnet_ids) == 0)
    error_message = "network.vpc_id and network.private_subnet_ids come together: name both for a network of your own, or neither."
  }
}

variable "storage" {
  description = "Buckets. With force_destroy, `terraform destroy` also deletes songs, tables and models. kms_key_arn: a key of your own, whose policy allows CloudWatch, budgets and log groups to use it, as that of modules/storage does."
  type = object({
    force_destroy       = optional(bool, false)
    previous_versions   = optional(number, 14)
    log_days            = optional(number, 90)
    infrequent_raw_days = optional(number, 30)
    kms_key_arn         = optional(string)
  })
  default = {}

  validation {
    condition     = var.storage.infrequent_raw_days == 0 || var.storage.infrequent_raw_days >= 30
    error_message = "storage.infrequent_raw_days must be 0 (never) or 30 or more, S3's minimum for infrequent access."
  }

  validation {
    condition     = var.storage.previous_versions >= 1 && var.storage.log_days >= 1
    error_message = "storage.previous_versions and storage.log_days are days, 1 or more."
  }
}

variable "emr" {
  description = "Spark clusters. Capacity is in vCPUs; core nodes are On-Demand, task nodes Spot. Each run has clusters of its own; interactive: also one that stays, for work by hand."
  type = object({
    enabled                = optional(bool, true)
    release_label          = optional(string, "emr-7.13.0")
    primary_instance_types = optional(list(string), ["m6i.2xlarge", "m5.2xlarge", "m6a.2xlarge"])
    core_instance_types    = optional(list(string), ["m6i.2xlarge", "m5.2xlarge", "m6a.2xlarge"])
    task_instance_types    = optional(list(string), ["m6i.2xlarge", "m5.2xlarge", "m6a.2xlarge", "m5a.2xlarge"])
    core_vcpus             = optional(number, 16)
    task_vcpus             = optional(number, 48)
    idle_minutes           = optional(number, 60)
    termination_protection = optional(bool, false)
    interactive            = optional(bool, false)
  })
  default = {}

  validation {
    condition     = can(regex("^emr-7\\.([5-9]|[1-9][0-9])\\.[0-9]+$", var.emr.release_label))
    error_message = "emr.release_label must be emr-7.5.0 or a later 7.x: the jobs are tested on Spark 3.5, and their environment needs the Python 3.11 of these releases."
  }

  validation {
    condition = alltrue([
      for types in [var.emr.primary_instance_types, var.emr.core_instance_types, var.emr.task_instance_types] :
      length(types) >= 1 && length(types) <= 5 && length(distinct(types)) == length(types)
    ])
    error_message = "emr: each list of instance types holds 1 to 5 different types."
  }

  validation {
    condition     = alltrue([for type in concat(var.emr.primary_instance_types, var.emr.core_instance_types, var.emr.task_instance_types) : contains(keys(local.types), type)])
    error_message = "emr: not in infra/instance_types.json: ${join(", ", [for type in concat(var.emr.primary_instance_types, var.emr.core_instance_types, var.emr.task_instance_types) : type if !contains(keys(local.types), type)])}. It holds the x86-64 types that the stack supports, such as m6i.2xlarge."
  }

  validation {
    condition     = alltrue([for type in concat(var.emr.core_instance_types, var.emr.task_instance_types) : try(local.types[type].no_executor, "") == ""])
    error_message = "emr: ${join("; ", [for type in concat(var.emr.core_instance_types, var.emr.task_instance_types) : "${type} ${try(local.types[type].no_executor, "")}" if try(local.types[type].no_executor, "") != ""])}; choose a larger type."
  }

  validation {
    condition     = alltrue([for type in var.emr.primary_instance_types : try(local.types[type].no_driver, "") == ""])
    error_message = "emr.primary_instance_types: ${join("; ", [for type in var.emr.primary_instance_types : "${type} ${try(local.types[type].no_driver, "")}" if try(local.types[type].no_driver, "") != ""])}; choose a larger type."
  }

  validation {
    condition     = var.emr.core_vcpus >= 4 && var.emr.task_vcpus >= 0 && floor(var.emr.core_vcpus) == var.emr.core_vcpus && floor(var.emr.task_vcpus) == var.emr.task_vcpus
    error_message = "emr.core_vcpus must be a whole number, 4 or more; emr.task_vcpus a whole number, 0 for no Spot nodes."
  }

  validation {
    condition     = var.emr.idle_minutes >= 1 && var.emr.idle_minutes <= 10080
    error_message = "emr.idle_minutes must be between 1 and 10080 (a week), EMR's limits."
  }
}

variable "gpu" {
  description = "Horovod workers; the state machine starts them for training only. The image is selected by ami_id, or by its exact name ami_name; it must have Amazon Linux 2023, the NVIDIA driver, and CUDA in the folder cuda, which each worker's setup checks. elastic: training starts with one worker and continues when workers join or leave."
  type = object({
    enabled       = optional(bool, true)
    instance_type = optional(string, "g5.12xlarge")
    workers       = optional(number, 1)
    spot          = optional(bool, false)
    ami_id        = optional(string)
    ami_name      = optional(string, "Deep Learning OSS Nvidia Driver AMI GPU TensorFlow 2.18 (Amazon Linux 2023) 20250424")
    cuda          = optional(string, "/usr/local/cuda-12.5")
    elastic       = optional(bool, false)
    volume_gb     = optional(number, 150)
    idle_minutes  = optional(number, 60)
  })
  default = {}

  validation {
    condition     = var.gpu.workers >= 1 && var.gpu.workers <= 32 && floor(var.gpu.workers) == var.gpu.workers
    error_message = "gpu.workers must be a whole number from 1 to 32; for none at all, gpu.enabled = false."
  }

  validation {
    condition     = var.gpu.idle_minutes >= 15 && var.gpu.idle_minutes <= 1440
    error_message = "gpu.idle_minutes must be between 15 (a first start takes that long) and 1440."
  }

  validation {
    condition     = var.gpu.volume_gb >= 100
    error_message = "gpu.volume_gb must be 100 or more: the image alone takes 60 GB."
  }

  validation {
    condition     = var.gpu.ami_id == null || can(regex("^ami-[0-9a-f]{8,17}$", var.gpu.ami_id))
    error_message = "gpu.ami_id must be an image's id (ami-...), of Amazon Linux 2023 with NVIDIA's driver and CUDA 12."
  }
}

variable "ingest" {
  description = "Instance that copies the dataset's public snapshot to the raw bucket; the state machine starts it for `--source snapshot`, and it ends with the copy."
  type = object({
    snapshot_id   = optional(string, "snap-5178cf30")
    folder        = optional(string, "data")
    instance_type = optional(string, "m6i.xlarge")
    volume_gb     = optional(number, 500)
    ami_id        = optional(string)
    ami_parameter = optional(string, "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64")
  })
  default = {}

  validation {
    condition     = can(regex("^snap-[0-9a-f]{8,17}$", var.ingest.snapshot_id))
    error_message = "ingest.snapshot_id must be a snapshot's id (snap-...)."
  }

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$", var.ingest.folder))
    error_message = "ingest.folder must be a plain path within the snapshot, for example data."
  }
}

variable "observability" {
  description = "Address for alarms, and the monthly budget; monthly_budget_usd = 0 creates no budget."
  type = object({
    email              = optional(string)
    monthly_budget_usd = optional(number, 200)
    log_days           = optional(number, 365)
  })
  default = {}

  validation {
    condition     = var.observability.email == null || can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", var.observability.email))
    error_message = "observability.email must be an address, for example you@example.org."
  }

  validation {
    condition     = var.observability.monthly_budget_usd >= 0
    error_message = "observability.monthly_budget_usd must be 0 or more."
  }

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096], var.observability.log_days)
    error_message = "observability.log_days must be one that CloudWatch accepts: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731 or 1096."
  }
}
