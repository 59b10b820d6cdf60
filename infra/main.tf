# Names are PROJECT-ENVIRONMENT-PURPOSE. The provider tags every resource with Project, Environment and ManagedBy;
# modules add Name.

locals {
  name = "${var.project}-${var.environment}"
  tags = merge(var.tags, {
    Project     = var.project
    Environment = var.environment
    ManagedBy   = "terraform"
  })

  has_cluster = var.emr.enabled && var.release != null
  has_workers = var.gpu.enabled && var.release != null

  songs     = var.songs_location == null ? "s3://${module.storage.buckets["raw"].id}/songs" : trimsuffix(var.songs_location, "/")
  warehouse = "s3://${module.storage.buckets["warehouse"].id}"
  scripts   = "${path.module}/nodes"
}

data "aws_partition" "current" {}

module "storage" {
  source = "./modules/storage"

  name     = local.name
  settings = var.storage
}

module "network" {
  source = "./modules/network"

  name     = local.name
  settings = var.network
  bucket_arns = concat(
    [for bucket in module.storage.buckets : bucket.arn],
    var.songs_location == null ? [] : [local.songs_bucket_arn],
  )
  kms_key_arn = module.storage.kms_key_arn
  log_days    = var.observability.log_days
}

locals {
  songs_bucket_arn = var.songs_location == null ? null : "arn:${data.aws_partition.current.partition}:s3:::${split("/", var.songs_location)[2]}"
}

module "emr" {
  source = "./modules/emr"
  count  = local.has_cluster ? 1 : 0

  name             = local.name
  settings         = var.emr
  release          = var.release
  vpc_id           = module.network.vpc_id
  subnet_ids       = module.network.private_subnet_ids
  buckets          = module.storage.buckets
  songs_bucket_arn = local.songs_bucket_arn
  kms_key_arn      = module.storage.kms_key_arn
  bootstrap_script = "${local.scripts}/emr_bootstrap.sh"
}

module "gpu_workers" {
  source = "./modules/gpu_workers"
  count  = local.has_workers ? 1 : 0

  name        = local.name
  settings    = var.gpu
  release     = var.release
  tags        = local.tags
  vpc_id      = module.network.vpc_id
  subnet_id   = module.network.private_subnet_ids[0]
  buckets     = module.storage.buckets
  kms_key_arn = module.storage.kms_key_arn
  scripts     = local.scripts
}

module "ingest" {
  source = "./modules/ingest"
  count  = var.ingest.enabled ? 1 : 0

  name        = local.name
  settings    = var.ingest
  tags        = local.tags
  vpc_id      = module.network.vpc_id
  subnet_id   = module.network.private_subnet_ids[0]
  zone        = module.network.zones[0]
  buckets     = module.storage.buckets
  target      = local.songs
  kms_key_arn = module.storage.kms_key_arn
  scripts     = local.scripts
}

module "observability" {
  source = "./modules/observability"

  name        = local.name
  settings    = var.observability
  project     = var.project
  region      = var.region
  kms_key_arn = module.storage.kms_key_arn
  has_cluster = local.has_cluster
  cluster_id  = one(module.emr[*].cluster_id)
  has_workers = local.has_workers
  group       = one(module.gpu_workers[*].group)
}
