# Everything that runs msd-spark on AWS, see docs/aws.md. Between runs, only the NAT gateway is billed by the hour.
#
# Names are PROJECT-ENVIRONMENT-PURPOSE. The provider tags every resource with Project, Environment and ManagedBy;
# modules add Name.

locals {
  name = "${var.project}-${var.environment}"
  tags = merge(var.tags, {
    Project     = var.project
    Environment = var.environment
    ManagedBy   = "terraform"
  })

  # What fits on each instance type; written by tools/deployment/instance_types.py.
  types = jsondecode(file("${path.module}/instance_types.json"))

  has_release = var.release != null
  has_cluster = var.emr.enabled && local.has_release
  has_workers = var.gpu.enabled && local.has_release

  data            = var.data_location == null ? "s3://${module.storage.buckets["raw"].id}" : trimsuffix(var.data_location, "/")
  data_bucket_arn = var.data_location == null ? null : "arn:${data.aws_partition.current.partition}:s3:::${split("/", var.data_location)[2]}"
  warehouse       = "s3://${module.storage.buckets["warehouse"].id}"
  scripts         = "${path.module}/nodes"
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

module "storage" {
  source = "./modules/storage"

  name     = local.name
  settings = var.storage
}

# Without a network of the user's own.
module "network" {
  source = "./modules/network"
  count  = var.network.vpc_id == null ? 1 : 0

  name     = local.name
  settings = var.network
  bucket_arns = concat(
    [for bucket in module.storage.buckets : bucket.arn],
    var.data_location == null ? [] : [local.data_bucket_arn],
  )
  kms_key_arn          = module.storage.kms_key_arn
  log_days             = var.observability.log_days
  permissions_boundary = var.permissions_boundary
}

data "aws_subnet" "own" {
  for_each = toset(var.network.private_subnet_ids)
  id       = each.value

  lifecycle {
    postcondition {
      condition     = self.vpc_id == var.network.vpc_id
      error_message = "network.private_subnet_ids: ${self.id} is in ${self.vpc_id}, not in network.vpc_id."
    }
  }
}

locals {
  vpc_id     = coalesce(var.network.vpc_id, one(module.network[*].vpc_id))
  subnet_ids = length(module.network) > 0 ? module.network[0].private_subnet_ids : var.network.private_subnet_ids
  zones      = length(module.network) > 0 ? module.network[0].zones : [for id in var.network.private_subnet_ids : data.aws_subnet.own[id].availability_zone]
}

module "emr" {
  source = "./modules/emr"
  count  = local.has_cluster ? 1 : 0

  name                 = local.name
  settings             = var.emr
  types                = local.types
  release              = var.release
  tags                 = local.tags
  vpc_id               = local.vpc_id
  subnet_ids           = local.subnet_ids
  buckets              = module.storage.buckets
  data_bucket_arn      = local.data_bucket_arn
  kms_key_arn          = module.storage.kms_key_arn
  bootstrap_script     = "${local.scripts}/emr_bootstrap.sh"
  permissions_boundary = var.permissions_boundary
}

module "gpu_workers" {
  source = "./modules/gpu_workers"
  count  = local.has_workers ? 1 : 0

  name                 = local.name
  settings             = merge(var.gpu, { min_workers = var.gpu.elastic ? 1 : null })
  release              = var.release
  tags                 = local.tags
  vpc_id               = local.vpc_id
  subnet_id            = local.subnet_ids[0]
  buckets              = module.storage.buckets
  kms_key_arn          = module.storage.kms_key_arn
  scripts              = local.scripts
  permissions_boundary = var.permissions_boundary
}

module "ingest" {
  source = "./modules/ingest"
  count  = local.has_release ? 1 : 0

  name                 = local.name
  settings             = var.ingest
  tags                 = local.tags
  vpc_id               = local.vpc_id
  subnet_id            = local.subnet_ids[0]
  buckets              = module.storage.buckets
  target               = "s3://${module.storage.buckets["raw"].id}/songs"
  kms_key_arn          = module.storage.kms_key_arn
  scripts              = local.scripts
  permissions_boundary = var.permissions_boundary
}

module "pipeline" {
  source = "./modules/pipeline"
  count  = local.has_release ? 1 : 0

  name     = local.name
  settings = var.run
  emr      = local.has_cluster ? { request = module.emr[0].request, role_arns = module.emr[0].role_arns } : null
  gpu = local.has_workers ? {
    group     = module.gpu_workers[0].group
    group_arn = module.gpu_workers[0].group_arn
    workers   = module.gpu_workers[0].workers
  } : null
  ingest = {
    template_id  = module.ingest[0].launch_template_id
    template_arn = module.ingest[0].launch_template_arn
    name         = module.ingest[0].name_tag
    role_arn     = module.ingest[0].role_arn
  }
  topic_arn            = module.observability.topic_arn
  kms_key_arn          = module.storage.kms_key_arn
  log_days             = var.observability.log_days
  permissions_boundary = var.permissions_boundary
}

module "observability" {
  source = "./modules/observability"

  name        = local.name
  settings    = var.observability
  project     = var.project
  region      = var.region
  kms_key_arn = module.storage.kms_key_arn
  has_cluster = local.has_cluster && var.emr.interactive
  cluster_id  = one(module.emr[*].cluster_id)
  has_workers = local.has_workers
  group       = one(module.gpu_workers[*].group)
}
