locals {
  # EMR's managed service policy applies only to resources with this tag.
  emr_tag = { "for-use-with-amazon-emr-managed-policies" = "true" }

  home      = "/opt/msd-spark" # where the bootstrap action puts the code, and the driver's environment
  artefacts = "s3://${var.buckets["artefacts"].id}"

  # Fleet capacity is in vCPUs, so that instance types of different sizes can be mixed.
  vcpus_by_size = merge({ large = 2, xlarge = 4 }, { for n in [2, 3, 4, 6, 8, 12, 16, 24, 32, 48] : "${n}xlarge" => 4 * n })
  vcpus = {
    for type in distinct(concat(var.settings.core_instance_types, var.settings.task_instance_types)) :
    type => local.vcpus_by_size[split(".", type)[1]]
  }

  # The regional name of S3: the global one bypasses the VPC endpoint outside us-east-1. Files of nodes are lost, so traces
  # go to standard error, which EMR copies to the logs bucket.
  python_environment = {
    AWS_REGION          = data.aws_region.current.name
    MSD_SPARK_TRACES    = "stderr"
    AWS_ENDPOINT_URL_S3 = "https://s3.${data.aws_region.current.name}.amazonaws.com"
  }
  executor_environment = merge(local.python_environment, {
    PYSPARK_PYTHON = "./environment/bin/python"
    PYTHONPATH     = "./code"
  })

  spark_defaults = merge(
    {
      # Unpacked into the working folder of every executor, and of the driver in cluster mode.
      "spark.archives" = join(",", [
        "${local.artefacts}/${var.release.environment}#environment",
        "${local.artefacts}/${var.release.code}#code",
      ])
      "spark.dynamicAllocation.enabled" = "true"
      # Most memory of a task is used by Python: Arrow batches, HDF5 images, a Keras model.
      "spark.driver.memory"           = "4g"
      "spark.executor.cores"          = "4"
      "spark.executor.memory"         = "5g"
      "spark.executor.memoryOverhead" = "5g"
      "spark.sql.adaptive.enabled"    = "true"
      # A Spot node that is reclaimed first migrates its shuffle files and cached blocks.
      "spark.decommission.enabled" = "true"
    },
    { for name, value in local.executor_environment : "spark.executorEnv.${name}" => value },
    # For cluster mode only; in client mode, the default, spark-env below applies.
    { for name, value in local.executor_environment : "spark.yarn.appMasterEnv.${name}" => value },
    { "spark.yarn.appMasterEnv.PYSPARK_DRIVER_PYTHON" = local.executor_environment.PYSPARK_PYTHON },
  )

  configurations = [
    { Classification = "spark-defaults", Properties = local.spark_defaults },
    {
      Classification = "spark-env"
      Properties     = {}
      Configurations = [{
        Classification = "export"
        Properties = merge(local.python_environment, {
          PYSPARK_PYTHON        = "./environment/bin/python"
          PYSPARK_DRIVER_PYTHON = "${local.home}/environment/bin/python"
          PYTHONPATH            = "${local.home}/code:$PYTHONPATH"
        })
      }]
    },
    # An application master on a Spot node would end its job when the node is reclaimed.
    {
      Classification = "yarn-site"
      Properties = {
        "yarn.node-labels.enabled"                          = "true"
        "yarn.node-labels.am.default-node-label-expression" = "CORE"
        "yarn.log-aggregation-enable"                       = "true"
        "yarn.log-aggregation.retain-seconds"               = "172800"
        "yarn.resourcemanager.am.max-attempts"              = "1"
      }
    },
  ]
}

resource "aws_s3_object" "bootstrap" {
  bucket      = var.buckets["artefacts"].id
  key         = "nodes/emr_bootstrap.sh"
  source      = var.bootstrap_script
  source_hash = filesha256(var.bootstrap_script)
  kms_key_id  = var.kms_key_arn
  tags        = { Name = "${var.name}-emr-bootstrap" }
}

resource "aws_emr_cluster" "this" {
  name                              = "${var.name}-spark"
  release_label                     = var.settings.release_label
  applications                      = ["Hadoop", "Spark"]
  service_role                      = aws_iam_role.service.arn
  security_configuration            = aws_emr_security_configuration.this.name
  configurations_json               = jsonencode(local.configurations)
  log_uri                           = "s3://${var.buckets["logs"].id}/emr/"
  log_encryption_kms_key_id         = var.kms_key_arn
  keep_job_flow_alive_when_no_steps = true
  termination_protection            = var.settings.termination_protection
  scale_down_behavior               = "TERMINATE_AT_TASK_COMPLETION"
  step_concurrency_level            = 1 # stages read what the stage before wrote
  ebs_root_volume_size              = 64
  tags                              = merge(local.emr_tag, { Name = "${var.name}-spark" })

  ec2_attributes {
    subnet_ids                        = var.subnet_ids
    instance_profile                  = module.node_role.profile_arn
    emr_managed_master_security_group = aws_security_group.this["primary"].id
    emr_managed_slave_security_group  = aws_security_group.this["worker"].id
    service_access_security_group     = aws_security_group.this["service"].id
  }

  bootstrap_action {
    name = "code-and-driver-environment"
    path = "s3://${aws_s3_object.bootstrap.bucket}/${aws_s3_object.bootstrap.key}"
    args = [var.buckets["artefacts"].id, var.release.code, var.release.environment, local.home]
  }

  auto_termination_policy {
    idle_timeout = var.settings.idle_minutes * 60
  }

  master_instance_fleet {
    name                      = "primary"
    target_on_demand_capacity = 1

    dynamic "instance_type_configs" {
      for_each = var.settings.primary_instance_types
      content {
        instance_type = instance_type_configs.value

        ebs_config {
          size                 = 64
          type                 = "gp3"
          volumes_per_instance = 1
        }
      }
    }
  }

  core_instance_fleet {
    name                      = "core"
    target_on_demand_capacity = var.settings.core_vcpus

    dynamic "instance_type_configs" {
      for_each = var.settings.core_instance_types
      content {
        instance_type     = instance_type_configs.value
        weighted_capacity = local.vcpus[instance_type_configs.value]

        ebs_config {
          size                 = 128
          type                 = "gp3"
          volumes_per_instance = 1
        }
      }
    }
  }

  dynamic "step" {
    for_each = var.settings.steps
    content {
      name              = step.value.name
      action_on_failure = "CANCEL_AND_WAIT" # a stage that failed leaves the next ones nothing to read

      hadoop_jar_step {
        jar  = "command-runner.jar"
        args = concat(["spark-submit", "${local.home}/code/jobs/${step.value.job}.py"], step.value.arguments)
      }
    }
  }

  lifecycle {
    # Steps are added to a running cluster, and fleets are scaled, by hand or by managed scaling. Reverting either
    # would replace the cluster.
    ignore_changes = [
      step,
      core_instance_fleet[0].target_on_demand_capacity,
      core_instance_fleet[0].target_spot_capacity,
    ]
  }

  depends_on = [
    aws_iam_role_policy.service,
    aws_iam_role_policy_attachment.service,
    aws_vpc_security_group_egress_rule.among,
    aws_vpc_security_group_egress_rule.https,
    aws_vpc_security_group_egress_rule.report,
    aws_vpc_security_group_egress_rule.service,
    aws_vpc_security_group_ingress_rule.service,
  ]
}

resource "aws_emr_instance_fleet" "task" {
  count                     = var.settings.task_vcpus > 0 ? 1 : 0
  cluster_id                = aws_emr_cluster.this.id
  name                      = "task-spot"
  target_on_demand_capacity = 0
  # One node at first; managed scaling adds and removes nodes up to the limit below.
  target_spot_capacity = min(var.settings.task_vcpus, min([for type in var.settings.task_instance_types : local.vcpus[type]]...))

  dynamic "instance_type_configs" {
    for_each = var.settings.task_instance_types
    content {
      instance_type                              = instance_type_configs.value
      weighted_capacity                          = local.vcpus[instance_type_configs.value]
      bid_price_as_percentage_of_on_demand_price = 100

      ebs_config {
        size                 = 128
        type                 = "gp3"
        volumes_per_instance = 1
      }
    }
  }

  launch_specifications {
    spot_specification {
      allocation_strategy      = "price-capacity-optimized"
      timeout_action           = "SWITCH_TO_ON_DEMAND" # the job goes on, dearer
      timeout_duration_minutes = 20
    }
  }

  lifecycle {
    ignore_changes = [target_on_demand_capacity, target_spot_capacity]
  }
}

resource "aws_emr_managed_scaling_policy" "this" {
  cluster_id = aws_emr_cluster.this.id

  # Core nodes are fixed (they hold HDFS and application masters); only Spot task nodes are scaled.
  compute_limits {
    unit_type                       = "InstanceFleetUnits"
    minimum_capacity_units          = var.settings.core_vcpus
    maximum_capacity_units          = var.settings.core_vcpus + var.settings.task_vcpus
    maximum_core_capacity_units     = var.settings.core_vcpus
    maximum_ondemand_capacity_units = var.settings.core_vcpus
  }
}
