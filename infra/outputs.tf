output "stack" {
  description = "The stack, as `msd-spark aws` reads it."
  value = {
    name      = local.name
    region    = var.region
    account   = data.aws_caller_identity.current.account_id
    buckets   = { for role, bucket in module.storage.buckets : role => bucket.id }
    data      = local.data
    warehouse = local.warehouse
    release   = var.release
    machine   = one(module.pipeline[*].machine_arn)
    cleanup   = one(module.pipeline[*].cleanup_arn)
    zones     = local.zones
    emr = {
      enabled                = var.emr.enabled
      release_label          = var.emr.release_label
      primary_instance_types = var.emr.primary_instance_types
      core_instance_types    = var.emr.core_instance_types
      task_instance_types    = var.emr.task_instance_types
      core_vcpus             = var.emr.core_vcpus
      task_vcpus             = var.emr.task_vcpus
    }
    gpu = local.has_workers ? {
      group         = module.gpu_workers[0].group
      instance_type = var.gpu.instance_type
      workers       = var.gpu.workers
      spot          = var.gpu.spot
      elastic       = var.gpu.elastic
      ami_id        = module.gpu_workers[0].ami_id
      volume_gb     = var.gpu.volume_gb
    } : null
    snapshot = {
      id            = var.ingest.snapshot_id
      volume_gb     = var.ingest.volume_gb
      instance_type = var.ingest.instance_type
    }
  }
}

output "buckets" {
  description = "Name of each bucket, by purpose."
  value       = { for role, bucket in module.storage.buckets : role => bucket.id }
}

output "emr_cluster_id" {
  description = "The cluster that stays; null unless emr.interactive."
  value       = one(module.emr[*].cluster_id)
}

locals {
  aws     = "aws --region ${var.region}"
  cluster = one(module.emr[*].cluster_id)
  group   = one(module.gpu_workers[*].group)
  head    = "$(${local.aws} autoscaling describe-auto-scaling-groups --auto-scaling-group-names ${coalesce(local.group, "none")} --query 'sort_by(AutoScalingGroups[0].Instances[?LifecycleState==`InService`], &InstanceId)[0].InstanceId' --output text)"
  primary = "$(${local.aws} emr list-instances --cluster-id ${coalesce(local.cluster, "none")} --instance-fleet-type MASTER --query 'Instances[0].Ec2InstanceId' --output text)"
}

output "commands" {
  description = "Commands to run on your own machine, by name."
  value = merge(
    { package = "make package BUCKET=${module.storage.buckets["artefacts"].id} REGION=${var.region}" },
    local.has_release ? {
      cost       = "msd-spark aws cost"
      run        = "msd-spark aws run"
      status     = "msd-spark aws status"
      logs       = "msd-spark aws logs"
      cancel     = "msd-spark aws cancel"
      embeddings = "aws s3 sync ${local.warehouse}/embeddings embeddings"
    } : {},
    local.has_cluster && var.emr.interactive ? {
      primary = "${local.aws} ssm start-session --target \"${local.primary}\" --document-name AWS-StartInteractiveCommand --parameters '{\"command\":[\"sudo -iu hadoop sh -c \\\"cd ${module.emr[0].code} && exec bash -l\\\"\"]}'"
    } : {},
    local.has_workers ? {
      wake   = "${local.aws} autoscaling set-desired-capacity --auto-scaling-group-name ${local.group} --desired-capacity ${var.gpu.workers}"
      worker = "${local.aws} ssm start-session --target \"${local.head}\" --document-name AWS-StartInteractiveCommand --parameters '{\"command\":[\"sudo -iu msd\"]}'"
      sleep  = "${local.aws} autoscaling set-desired-capacity --auto-scaling-group-name ${local.group} --desired-capacity 0"
    } : {},
  )
}
