# Settings of the Spark clusters: the request by which the state machine (module pipeline) creates one for a phase of a run,
# and, if `interactive`, one that stays for work by hand.

locals {
  # EMR's managed service policy applies only to resources with this tag.
  emr_tag = { "for-use-with-amazon-emr-managed-policies" = "true" }

  home      = "/opt/msd-spark" # where the bootstrap action unpacks code and environment, on every node
  code      = "${local.home}/code"
  python    = "${local.home}/environment/bin/python"
  artefacts = "s3://${var.buckets["artefacts"].id}"

  # One executor size fits all nodes, so the smallest type sets it. Same rule as msd_spark/aws/sizing.py.
  worker_types = distinct(concat(var.settings.core_instance_types, var.settings.task_vcpus > 0 ? var.settings.task_instance_types : []))
  executor_mb  = min([for type in local.worker_types : var.types[type].executor_mb]...)
  heap_mb      = floor(local.executor_mb / 2)
  driver_mb    = min([for type in var.settings.primary_instance_types : var.types[type].driver_mb]...)

  # The regional name of S3: the global one bypasses the VPC endpoint outside us-east-1. Files of nodes are lost, so traces
  # go to standard error, which EMR copies to the logs bucket.
  python_environment = {
    AWS_REGION          = data.aws_region.current.name
    MSD_SPARK_TRACES    = "stderr"
    AWS_ENDPOINT_URL_S3 = "https://s3.${data.aws_region.current.name}.amazonaws.com"
    PYSPARK_PYTHON      = local.python
    PYTHONPATH          = local.code
  }

  spark_defaults = merge(
    {
      "spark.dynamicAllocation.enabled" = "true"
      "spark.driver.memory"             = "${local.driver_mb}m"
      # Half of a task's memory is used by Python: Arrow batches, HDF5 images, a Keras model.
      "spark.executor.cores"          = tostring(var.types[local.worker_types[0]].executor_cores)
      "spark.executor.memory"         = "${local.heap_mb}m"
      "spark.executor.memoryOverhead" = "${local.executor_mb - local.heap_mb}m"
      "spark.sql.adaptive.enabled"    = "true"
      # A Spot node that is reclaimed first moves its shuffle files and cached blocks to other nodes; those of YARN's
      # shuffle service would stay.
      "spark.shuffle.service.enabled"                    = "false"
      "spark.dynamicAllocation.shuffleTracking.enabled"  = "true"
      "spark.decommission.enabled"                       = "true"
      "spark.storage.decommission.enabled"               = "true"
      "spark.storage.decommission.shuffleBlocks.enabled" = "true"
      "spark.storage.decommission.rddBlocks.enabled"     = "true"
    },
    { for name, value in local.python_environment : "spark.executorEnv.${name}" => value },
    # For cluster mode only; in client mode, the default, spark-env below applies.
    { for name, value in local.python_environment : "spark.yarn.appMasterEnv.${name}" => value },
    { "spark.yarn.appMasterEnv.PYSPARK_DRIVER_PYTHON" = local.python },
  )

  configurations = [
    { Classification = "spark-defaults", Properties = local.spark_defaults },
    {
      Classification = "spark-env"
      Properties     = {}
      Configurations = [{
        Classification = "export"
        Properties = merge(local.python_environment, {
          PYSPARK_DRIVER_PYTHON = local.python
          PYTHONPATH            = "${local.code}:$PYTHONPATH"
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

  bootstrap = {
    name = "code-and-environment"
    path = "${local.artefacts}/${aws_s3_object.bootstrap.key}"
    args = [var.buckets["artefacts"].id, var.release.code, var.release.environment, local.home]
  }
  log_uri = "s3://${var.buckets["logs"].id}/emr/"
  tags    = merge(local.emr_tag, var.tags, { Name = "${var.name}-spark" })

  # Capacity is in vCPUs, so that instance types of different sizes can be mixed.
  task_timeout_minutes = 20
  limits = {
    minimum = var.settings.core_vcpus
    maximum = var.settings.core_vcpus + var.settings.task_vcpus
  }

  # One node at first; managed scaling adds and removes nodes.
  first_task_vcpus = var.settings.task_vcpus > 0 ? min(var.settings.task_vcpus, min([for type in var.settings.task_instance_types : var.types[type].vcpus]...)) : 0
}

# ---- a cluster for one run ---------------------------------------------------------------------------------------------

locals {
  # The request of the state machine (module pipeline), which adds a name. The state machine terminates the cluster;
  # idle_minutes is for the case that it does not.
  request = {
    ReleaseLabel          = var.settings.release_label
    Applications          = [{ Name = "Hadoop" }, { Name = "Spark" }]
    ServiceRole           = aws_iam_role.service.arn
    JobFlowRole           = module.node_role.profile_name
    SecurityConfiguration = aws_emr_security_configuration.this.name
    Configurations        = local.configurations
    LogUri                = local.log_uri
    VisibleToAllUsers     = true
    ScaleDownBehavior     = "TERMINATE_AT_TASK_COMPLETION"
    StepConcurrencyLevel  = 1 # stages read what the stage before wrote
    EbsRootVolumeSize     = 64
    AutoTerminationPolicy = { IdleTimeout = var.settings.idle_minutes * 60 }
    Tags                  = [for key, value in local.tags : { Key = key, Value = value }]
    BootstrapActions      = [{ Name = local.bootstrap.name, ScriptBootstrapAction = { Path = local.bootstrap.path, Args = local.bootstrap.args } }]
    ManagedScalingPolicy = {
      # Core nodes are fixed (they hold HDFS and application masters); only Spot task nodes are scaled.
      ComputeLimits = {
        UnitType                     = "InstanceFleetUnits"
        MinimumCapacityUnits         = local.limits.minimum
        MaximumCapacityUnits         = local.limits.maximum
        MaximumCoreCapacityUnits     = local.limits.minimum
        MaximumOnDemandCapacityUnits = local.limits.minimum
      }
    }
    Instances = {
      KeepJobFlowAliveWhenNoSteps   = true
      TerminationProtected          = false
      Ec2SubnetIds                  = var.subnet_ids
      EmrManagedMasterSecurityGroup = aws_security_group.this["primary"].id
      EmrManagedSlaveSecurityGroup  = aws_security_group.this["worker"].id
      ServiceAccessSecurityGroup    = aws_security_group.this["service"].id
      InstanceFleets = concat(
        [
          {
            Name                   = "primary"
            InstanceFleetType      = "MASTER"
            TargetOnDemandCapacity = 1
            InstanceTypeConfigs    = [for type in var.settings.primary_instance_types : merge(local.disk, { InstanceType = type })]
          },
          {
            Name                   = "core"
            InstanceFleetType      = "CORE"
            TargetOnDemandCapacity = var.settings.core_vcpus
            InstanceTypeConfigs    = [for type in var.settings.core_instance_types : merge(local.disk, { InstanceType = type, WeightedCapacity = var.types[type].vcpus })]
          },
        ],
        [
          for fleet in var.settings.task_vcpus > 0 ? ["task-spot"] : [] : {
            Name                = fleet
            InstanceFleetType   = "TASK"
            TargetSpotCapacity  = local.first_task_vcpus
            InstanceTypeConfigs = [for type in var.settings.task_instance_types : merge(local.disk, { InstanceType = type, WeightedCapacity = var.types[type].vcpus })]
            LaunchSpecifications = {
              SpotSpecification = {
                AllocationStrategy     = "price-capacity-optimized"
                TimeoutAction          = "SWITCH_TO_ON_DEMAND" # rather than wait for Spot capacity
                TimeoutDurationMinutes = local.task_timeout_minutes
              }
            }
          }
        ],
      )
    }
  }
  disk = {
    EbsConfiguration = {
      EbsBlockDeviceConfigs = [{ VolumesPerInstance = 1, VolumeSpecification = { SizeInGB = local.disk_gb, VolumeType = "gp3" } }]
    }
  }
  disk_gb = 128
}

resource "aws_s3_object" "bootstrap" {
  bucket      = var.buckets["artefacts"].id
  key         = "nodes/emr_bootstrap.sh"
  source      = var.bootstrap_script
  source_hash = filesha256(var.bootstrap_script)
  kms_key_id  = var.kms_key_arn
  tags        = { Name = "${var.name}-emr-bootstrap" }
}

# ---- a cluster that stays, for work by hand ------------------------------------------------------------------------------

resource "aws_emr_cluster" "this" {
  count                             = var.settings.interactive ? 1 : 0
  name                              = "${var.name}-spark"
  release_label                     = var.settings.release_label
  applications                      = ["Hadoop", "Spark"]
  service_role                      = aws_iam_role.service.arn
  security_configuration            = aws_emr_security_configuration.this.name
  configurations_json               = jsonencode(local.configurations)
  log_uri                           = local.log_uri
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
    name = local.bootstrap.name
    path = local.bootstrap.path
    args = local.bootstrap.args
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
          size                 = local.disk_gb
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
        weighted_capacity = var.types[instance_type_configs.value].vcpus

        ebs_config {
          size                 = local.disk_gb
          type                 = "gp3"
          volumes_per_instance = 1
        }
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
  count                     = var.settings.interactive && var.settings.task_vcpus > 0 ? 1 : 0
  cluster_id                = aws_emr_cluster.this[0].id
  name                      = "task-spot"
  target_on_demand_capacity = 0
  target_spot_capacity      = local.first_task_vcpus

  dynamic "instance_type_configs" {
    for_each = var.settings.task_instance_types
    content {
      instance_type                              = instance_type_configs.value
      weighted_capacity                          = var.types[instance_type_configs.value].vcpus
      bid_price_as_percentage_of_on_demand_price = 100

      ebs_config {
        size                 = local.disk_gb
        type                 = "gp3"
        volumes_per_instance = 1
      }
    }
  }

  launch_specifications {
    spot_specification {
      allocation_strategy      = "price-capacity-optimized"
      timeout_action           = "SWITCH_TO_ON_DEMAND" # rather than wait for Spot capacity
      timeout_duration_minutes = local.task_timeout_minutes
    }
  }

  lifecycle {
    ignore_changes = [target_on_demand_capacity, target_spot_capacity]
  }
}

resource "aws_emr_managed_scaling_policy" "this" {
  count      = var.settings.interactive ? 1 : 0
  cluster_id = aws_emr_cluster.this[0].id

  # Core nodes are fixed (they hold HDFS and application masters); only Spot task nodes are scaled.
  compute_limits {
    unit_type                       = "InstanceFleetUnits"
    minimum_capacity_units          = var.settings.core_vcpus
    maximum_capacity_units          = var.settings.core_vcpus + var.settings.task_vcpus
    maximum_core_capacity_units     = var.settings.core_vcpus
    maximum_ondemand_capacity_units = var.settings.core_vcpus
  }
}
