output "buckets" {
  description = "Name of each bucket, by purpose."
  value       = { for role, bucket in module.storage.buckets : role => bucket.id }
}

output "warehouse" {
  description = "Value of --warehouse on AWS."
  value       = local.warehouse
}

output "songs" {
  description = "Value of --songs on AWS."
  value       = local.songs
}

output "emr_cluster_id" {
  description = "Spark cluster; null if there is none."
  value       = one(module.emr[*].cluster_id)
}

output "gpu_group" {
  description = "Auto Scaling group of the GPU workers; null if there is none."
  value       = one(module.gpu_workers[*].group)
}

output "ingest_instance_id" {
  description = "Instance that copies the snapshot; null unless ingest.enabled."
  value       = one(module.ingest[*].instance_id)
}

locals {
  aws     = "aws --region ${var.region}"
  cluster = coalesce(one(module.emr[*].cluster_id), "none")
  group   = coalesce(one(module.gpu_workers[*].group), "none")
  head    = "$(${local.aws} autoscaling describe-auto-scaling-groups --auto-scaling-group-names ${local.group} --query 'sort_by(AutoScalingGroups[0].Instances[?LifecycleState==`InService`], &InstanceId)[0].InstanceId' --output text)"
  primary = "$(${local.aws} emr list-instances --cluster-id ${local.cluster} --instance-fleet-type MASTER --query 'Instances[0].Ec2InstanceId' --output text)"

  jobs = {
    ingest     = ["--songs", local.songs]
    lyrics     = ["--train", "${local.raw}/musixmatch/mxm_dataset_train.txt", "--test", "${local.raw}/musixmatch/mxm_dataset_test.txt", "--reverse-mapping", "${local.raw}/musixmatch/mxm_reverse_mapping.txt"]
    labels     = ["--cd1", "${local.raw}/tagtraum/msd_tagtraum_cd1.cls"]
    plays      = ["--triplets", "${local.raw}/tasteprofile/train_triplets.txt", "--mismatches", "${local.raw}/tasteprofile/sid_mismatches.txt"]
    factors    = ["--recommend", "100"]
    dataset    = ["--label-set", "cd1", "--require", "genre"]
    score      = ["--run", "demo"]
    neighbours = ["--run", "demo"]
    maps       = ["--run", "demo"]
    report     = ["--run", "demo"]
  }
  raw   = "s3://${module.storage.buckets["raw"].id}"
  train = "horovodrun -np ${coalesce(one(module.gpu_workers[*].gpus), 0)} training/train.py --warehouse ${local.warehouse} --run demo"
}

output "spark_submit" {
  description = "Command of each stage, as typed on the primary node (see commands.primary)."
  value = local.has_cluster ? {
    for job, arguments in local.jobs : job => join(" ", concat(["spark-submit", "jobs/${job}.py"], arguments, ["--warehouse", local.warehouse]))
  } : {}
}

output "horovodrun" {
  description = "Command of training, as typed on a GPU worker (see commands.worker); null if there are no workers."
  value       = local.has_workers ? local.train : null
}

output "steps" {
  description = "The same stages as EMR steps, submitted from your own machine."
  value = local.has_cluster ? {
    for job, arguments in local.jobs : job => join("", [
      "${local.aws} emr add-steps --cluster-id ${local.cluster} --steps '",
      jsonencode([{
        Type            = "CUSTOM_JAR"
        Name            = job
        ActionOnFailure = "CANCEL_AND_WAIT"
        Jar             = "command-runner.jar"
        Args            = concat(["spark-submit", "${module.emr[0].code}/jobs/${job}.py"], arguments, ["--warehouse", local.warehouse])
      }]),
      "'",
    ])
  } : {}
}

output "commands" {
  description = "Further commands for your own machine."
  value = merge(
    { package = "make package BUCKET=${module.storage.buckets["artefacts"].id} REGION=${var.region}" },
    local.has_cluster ? {
      primary = "${local.aws} ssm start-session --target \"${local.primary}\" --document-name AWS-StartInteractiveCommand --parameters '{\"command\":[\"sudo -iu hadoop sh -c \\\"cd ${module.emr[0].code} && exec bash -l\\\"\"]}'"
    } : {},
    local.has_workers ? {
      wake   = "${local.aws} autoscaling set-desired-capacity --auto-scaling-group-name ${local.group} --desired-capacity ${var.gpu.workers}"
      worker = "${local.aws} ssm start-session --target \"${local.head}\" --document-name AWS-StartInteractiveCommand --parameters '{\"command\":[\"sudo -iu msd\"]}'"
      train  = "${local.aws} ssm send-command --instance-ids \"${local.head}\" --document-name AWS-RunShellScript --parameters '{\"commands\":[\"sudo -iu msd ${local.train}\"],\"executionTimeout\":[\"172800\"]}'"
      sleep  = "${local.aws} autoscaling set-desired-capacity --auto-scaling-group-name ${local.group} --desired-capacity 0"
    } : {},
    var.ingest.enabled ? {
      copied = "${local.aws} s3 ls ${local.songs}/manifest.tsv"
      again  = "${local.aws} ec2 start-instances --instance-ids ${one(module.ingest[*].instance_id)}"
    } : {},
  )
}
