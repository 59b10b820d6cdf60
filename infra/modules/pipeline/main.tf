# The state machine of a run. Its input has the commands of all stages (msd_spark/aws/plan.py):
#
#   {"run": NAME, "source": "bucket" or "snapshot",
#    "before": [{"stage", "seconds", "arguments"}], "gpu": [{"stage", "seconds", "command"}], "after": [like before]}
#
# and what msd_spark/aws/finished.py reads. A second execution at the same time fails at once, and touches nothing.
# All stages are in one branch of a Parallel state, so that one Catch covers them and the clean-up always follows. An
# execution that is aborted or times out, or exceeds a limit of Step Functions, runs no handler; an EventBridge rule then starts a second machine that cleans up.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  cluster = "${var.name}-run"
  run_arn = "arn:${data.aws_partition.current.partition}:states:${data.aws_region.current.name}:${data.aws_caller_identity.current.account_id}:stateMachine:${local.cluster}"
  retried = { IntervalSeconds = var.settings.poll_seconds, MaxAttempts = 3, BackoffRate = 1 }

  # ---- the snapshot ---------------------------------------------------------------------------------------------------
  copy_states = {
    Source = {
      Type    = "Choice"
      Comment = "Copies the public snapshot first if the songs are to come from there."
      Choices = [{ Variable = "$.source", StringEquals = "snapshot", Next = "LaunchCopy" }]
      Default = "HasBefore"
    }
    LaunchCopy = {
      Type           = "Task"
      Comment        = "Launches the instance that has the snapshot as a disk."
      Resource       = "arn:aws:states:::aws-sdk:ec2:runInstances"
      Parameters     = { LaunchTemplate = { LaunchTemplateId = var.ingest.template_id, Version = "$Latest" }, MinCount = 1, MaxCount = 1 }
      ResultSelector = { "id.$" = "$.Instances[0].InstanceId" }
      ResultPath     = "$.copy"
      Next           = "CopySnapshot"
    }
    CopySnapshot = {
      Type     = "Task"
      Comment  = "Copies the songs to the bucket; a repeated copy copies what is missing."
      Resource = "arn:aws:states:::aws-sdk:ssm:sendCommand.waitForTaskToken"
      Parameters = merge(local.send_command, {
        "InstanceIds.$" = "States.Array($.copy.id)"
        Parameters = {
          executionTimeout = ["172800"]
          "commands.$"     = "States.Array('${local.await_scripts}', States.Format('exec /opt/msd-spark/bin/ingest_copy.sh {}', $$.Task.Token))"
        }
      })
      TimeoutSeconds   = 172800
      HeartbeatSeconds = local.heartbeat
      Retry            = local.send_retry
      ResultPath       = null
      Next             = "TerminateCopy"
    }
    TerminateCopy = {
      Type       = "Task"
      Comment    = "Terminates the instance, with its disk."
      Resource   = "arn:aws:states:::aws-sdk:ec2:terminateInstances"
      Parameters = { "InstanceIds.$" = "States.Array($.copy.id)" }
      ResultPath = null
      Next       = "HasBefore"
    }
  }

  # The user data fetches node_task.sh last, so its presence means that all scripts are there. Stage commands are sent in
  # base64, which needs no quoting.
  await_scripts = "until [ -x /opt/msd-spark/bin/node_task.sh ]; do sleep 5; done"
  heartbeat     = var.settings.heartbeat_seconds
  send_command  = { DocumentName = "AWS-RunShellScript", TimeoutSeconds = 3600 }
  # The agent of a new instance has not registered yet.
  send_retry = [{ ErrorEquals = ["Ssm.InvalidInstanceIdException"], IntervalSeconds = var.settings.poll_seconds, MaxAttempts = 60, BackoffRate = 1 }]

  # ---- Spark stages, before and after training --------------------------------------------------------------------------
  has_emr     = var.emr != null
  after_phase = { Before = "HasGpu", After = "Done" }
  spark_states = merge([
    for phase, following in local.after_phase : {
      "Has${phase}" = {
        Type    = "Choice"
        Comment = "Skips the phase without stages."
        Choices = [{ Variable = "$.${lower(phase)}[0]", IsPresent = true, Next = local.has_emr ? "CreateCluster${phase}" : "NoCluster" }]
        Default = following
      }
      "CreateCluster${phase}" = {
        Type           = "Task"
        Comment        = "Creates a cluster for this phase."
        Resource       = "arn:aws:states:::elasticmapreduce:createCluster.sync"
        Parameters     = merge(try(var.emr.request, {}), { Name = local.cluster })
        ResultSelector = { "id.$" = "$.ClusterId" }
        ResultPath     = "$.cluster"
        TimeoutSeconds = 5400
        Retry          = [{ ErrorEquals = ["States.Timeout"], MaxAttempts = 0 }, merge(local.retried, { ErrorEquals = ["States.ALL"], MaxAttempts = var.settings.attempts - 1 })]
        Next           = "Stages${phase}"
      }
      "Stages${phase}" = {
        Type           = "Map"
        Comment        = "Runs the stages one after another."
        MaxConcurrency = 1
        ItemsPath      = "$.${lower(phase)}"
        ItemSelector = {
          "cluster.$"   = "$.cluster.id"
          "stage.$"     = "$$.Map.Item.Value.stage"
          "seconds.$"   = "$$.Map.Item.Value.seconds"
          "arguments.$" = "$$.Map.Item.Value.arguments"
        }
        ItemProcessor = {
          ProcessorConfig = { Mode = "INLINE" }
          StartAt         = "SparkStage"
          States = {
            SparkStage = {
              Type     = "Task"
              Comment  = "One stage as a step of EMR; its logs are in the logs bucket, emr/CLUSTER/steps/STEP."
              Resource = "arn:aws:states:::elasticmapreduce:addStep.sync"
              Parameters = {
                "ClusterId.$" = "$.cluster"
                Step = {
                  "Name.$"        = "$.stage"
                  ActionOnFailure = "CONTINUE"
                  HadoopJarStep   = { Jar = "command-runner.jar", "Args.$" = "$.arguments" }
                }
              }
              TimeoutSecondsPath = "$.seconds"
              Retry              = [{ ErrorEquals = ["States.Timeout"], MaxAttempts = 0 }, merge(local.retried, { ErrorEquals = ["States.ALL"], MaxAttempts = var.settings.attempts - 1 })]
              End                = true
            }
          }
        }
        ResultPath = null
        Next       = "TerminateCluster${phase}"
      }
      "TerminateCluster${phase}" = {
        Type       = "Task"
        Comment    = "Terminates the cluster of this phase, and waits: the quota must have room for the next."
        Resource   = "arn:aws:states:::elasticmapreduce:terminateCluster.sync"
        Parameters = { "ClusterId.$" = "$.cluster.id" }
        ResultPath = null
        Retry      = [merge(local.retried, { ErrorEquals = ["States.ALL"] })]
        Next       = following
      }
    }
  ]...)

  no_cluster_state = {
    NoCluster = { Type = "Fail", Comment = "The stack has no clusters.", Error = "BadInput", Cause = "The stack has no clusters (emr.enabled)." }
  }
  emr_states = {
    for name, state in merge(local.spark_states, local.no_cluster_state) : name => state
    if local.has_emr ? name != "NoCluster" : startswith(name, "Has") || name == "NoCluster"
  }

  # ---- training ---------------------------------------------------------------------------------------------------------
  has_gpu = var.gpu != null
  group   = try(var.gpu.group, "")
  workers = try(var.gpu.workers, 0)
  has_gpu_state = {
    HasGpu = {
      Type    = "Choice"
      Comment = "Skips the phase without stages."
      Choices = [{ Variable = "$.gpu[0]", IsPresent = true, Next = local.has_gpu ? "Train" : "NoGpu" }]
      Default = "HasAfter"
    }
  }
  no_gpu_states = {
    NoGpu = { Type = "Fail", Comment = "The stack has no GPU workers.", Error = "BadInput", Cause = "The stack has no GPU workers (variable gpu)." }
  }
  train_states = {
    Train = {
      Type    = "Parallel"
      Comment = "Starts the workers and runs the stages on the head; a retry starts the workers again and may choose another head."
      Branches = [{
        StartAt = "ScaleUp"
        States = {
          ScaleUp = {
            Type       = "Task"
            Comment    = "Starts all workers."
            Resource   = "arn:aws:states:::aws-sdk:autoscaling:setDesiredCapacity"
            Parameters = { AutoScalingGroupName = local.group, DesiredCapacity = local.workers }
            ResultPath = null
            Next       = "FirstLook"
          }
          FirstLook = { Type = "Pass", Comment = "Counts the looks at the workers.", Result = 0, ResultPath = "$.looks", Next = "LookAtWorkers" }
          LookAtWorkers = {
            Type           = "Task"
            Comment        = "Finds the workers that run; the first is the head."
            Resource       = "arn:aws:states:::aws-sdk:autoscaling:describeAutoScalingGroups"
            Parameters     = { "AutoScalingGroupNames" = [local.group] }
            ResultSelector = { "ready.$" = "$.AutoScalingGroups[0].Instances[?(@.LifecycleState == 'InService')].InstanceId" }
            ResultPath     = "$.workers"
            Retry          = [merge(local.retried, { ErrorEquals = ["States.ALL"] })]
            Next           = "HasHead"
          }
          HasHead = {
            Type    = "Choice"
            Comment = "Waits for the first worker, for capacity_minutes at most."
            Choices = [
              { Variable = "$.workers.ready[0]", IsPresent = true, Next = "StagesGpu" },
              { Variable = "$.looks", NumericGreaterThan = ceil(var.settings.capacity_minutes * 60 / var.settings.poll_seconds), Next = "NoWorkers" },
            ]
            Default = "WaitForWorkers"
          }
          WaitForWorkers = { Type = "Wait", Comment = "Until the next look.", Seconds = var.settings.poll_seconds, Next = "CountLooks" }
          CountLooks = {
            Type       = "Pass"
            Comment    = "Increments the count of looks."
            Parameters = { "n.$" = "States.MathAdd($.looks, 1)" }
            ResultPath = "$.counted"
            Next       = "KeepCount"
          }
          KeepCount = { Type = "Pass", Comment = "Keeps the count.", InputPath = "$.counted.n", ResultPath = "$.looks", Next = "LookAtWorkers" }
          NoWorkers = { Type = "Fail", Comment = "No capacity, or no quota.", Error = "NoWorkers", Cause = "No GPU worker was in service after ${var.settings.capacity_minutes} minutes; check capacity and quota in the activity of the Auto Scaling group ${local.group}." }
          StagesGpu = {
            Type           = "Map"
            Comment        = "Runs training, and what else needs the workers, one after another."
            MaxConcurrency = 1
            ItemsPath      = "$.gpu"
            ItemSelector = {
              "log.$"     = "$$.Execution.Name"
              "head.$"    = "$.workers.ready[0]"
              "stage.$"   = "$$.Map.Item.Value.stage"
              "seconds.$" = "$$.Map.Item.Value.seconds"
              "command.$" = "$$.Map.Item.Value.command"
            }
            ItemProcessor = {
              ProcessorConfig = { Mode = "INLINE" }
              StartAt         = "GpuStage"
              States = {
                GpuStage = {
                  Type     = "Task"
                  Comment  = "One stage on the head, which reports its outcome with the token; its log is in the logs bucket, gpu/EXECUTION/STAGE-HOST.log."
                  Resource = "arn:aws:states:::aws-sdk:ssm:sendCommand.waitForTaskToken"
                  Parameters = merge(local.send_command, {
                    "InstanceIds.$" = "States.Array($.head)"
                    Parameters = {
                      executionTimeout = ["172800"]
                      "commands.$"     = "States.Array('${local.await_scripts}', States.Format('exec /opt/msd-spark/bin/gpu_stage.sh {} {} {} ${local.workers} \"$(echo {} | base64 -d)\"', $$.Task.Token, $.log, $.stage, States.Base64Encode($.command)))"
                    }
                  })
                  TimeoutSecondsPath = "$.seconds"
                  HeartbeatSeconds   = local.heartbeat
                  Retry              = local.send_retry
                  Catch = [
                    { ErrorEquals = ["States.HeartbeatTimeout"], ResultPath = null, Next = "RetireHead" },
                    { ErrorEquals = ["States.Timeout"], ResultPath = null, Next = "StageTimedOut" },
                  ]
                  End = true
                }
                RetireHead = {
                  Type       = "Task"
                  Comment    = "Has the group replace the head, also if EC2 calls it healthy."
                  Resource   = "arn:aws:states:::aws-sdk:autoscaling:setInstanceHealth"
                  Parameters = { "InstanceId.$" = "$.head", HealthStatus = "Unhealthy", ShouldRespectGracePeriod = false }
                  ResultPath = null
                  Catch      = [{ ErrorEquals = ["States.ALL"], ResultPath = null, Next = "LostHead" }]
                  Next       = "LostHead"
                }
                LostHead = {
                  Type    = "Fail"
                  Comment = "Another head may finish in time."
                  Error   = "LostHead"
                  Cause   = "The head of the GPU workers sent no heartbeat for ${local.heartbeat} seconds."
                }
                StageTimedOut = {
                  Type      = "Fail"
                  Comment   = "Another attempt would take as long."
                  Error     = "StageTimedOut"
                  CausePath = "States.Format('Stage {} did not end within {} seconds.', $.stage, $.seconds)"
                }
              }
            }
            ResultPath = null
            End        = true
          }
        }
      }]
      ResultPath = null
      # A command that ends with status 2 has found a mistake in its options or data, which another attempt would find too.
      Retry = [
        { ErrorEquals = ["BadInput", "NoWorkers", "StageTimedOut"], MaxAttempts = 0 },
        merge(local.retried, { ErrorEquals = ["States.ALL"], MaxAttempts = var.settings.attempts - 1 }),
      ]
      Next = "ScaleDown"
    }
    ScaleDown = {
      Type       = "Task"
      Comment    = "Stops all workers."
      Resource   = "arn:aws:states:::aws-sdk:autoscaling:setDesiredCapacity"
      Parameters = { AutoScalingGroupName = local.group, DesiredCapacity = 0 }
      ResultPath = null
      Retry      = [merge(local.retried, { ErrorEquals = ["States.ALL"] })]
      Next       = "HasAfter"
    }
  }

  gpu_states = merge(
    local.has_gpu_state,
    { for name, state in local.train_states : name => state if local.has_gpu },
    { for name, state in local.no_gpu_states : name => state if !local.has_gpu },
  )

  # ---- clean-up: in every outcome, also of its own states ------------------------------------------------------------------
  cleanup_retry = [merge(local.retried, { ErrorEquals = ["States.ALL"] })]
  scale_to_zero = {
    ScaleToZero = {
      Type       = "Task"
      Comment    = "Stops all workers."
      Resource   = "arn:aws:states:::aws-sdk:autoscaling:setDesiredCapacity"
      Parameters = { AutoScalingGroupName = local.group, DesiredCapacity = 0 }
      ResultPath = null
      Retry      = local.cleanup_retry
      Catch      = [{ ErrorEquals = ["States.ALL"], ResultPath = "$.left", Next = "ListClusters" }]
      Next       = "ListClusters"
    }
  }
  cleanup_states = merge(
    { for name, state in local.scale_to_zero : name => state if local.has_gpu },
    {
      ListClusters = {
        Type           = "Task"
        Comment        = "Finds the clusters of runs; at most one run is active."
        Resource       = "arn:aws:states:::aws-sdk:emr:listClusters"
        Parameters     = { ClusterStates = ["STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING"] }
        ResultSelector = { "ids.$" = "$.Clusters[?(@.Name == '${local.cluster}')].Id" }
        ResultPath     = "$.clusters"
        Retry          = local.cleanup_retry
        Catch          = [{ ErrorEquals = ["States.ALL"], ResultPath = "$.left", Next = "ListCopies" }]
        Next           = "HasClusters"
      }
      HasClusters = {
        Type    = "Choice"
        Comment = "Whether there is a cluster to terminate."
        Choices = [{ Variable = "$.clusters.ids[0]", IsPresent = true, Next = "TerminateClusters" }]
        Default = "ListCopies"
      }
      TerminateClusters = {
        Type       = "Task"
        Comment    = "Terminates the clusters of runs."
        Resource   = "arn:aws:states:::aws-sdk:emr:terminateJobFlows"
        Parameters = { "JobFlowIds.$" = "$.clusters.ids" }
        ResultPath = null
        Retry      = local.cleanup_retry
        Catch      = [{ ErrorEquals = ["States.ALL"], ResultPath = "$.left", Next = "ListCopies" }]
        Next       = "ListCopies"
      }
      ListCopies = {
        Type     = "Task"
        Comment  = "Finds the instances that copy the snapshot."
        Resource = "arn:aws:states:::aws-sdk:ec2:describeInstances"
        Parameters = { Filters = [
          { Name = "tag:Name", Values = [var.ingest.name] },
          { Name = "instance-state-name", Values = ["pending", "running", "stopping", "stopped"] },
        ] }
        ResultSelector = { "ids.$" = "$.Reservations[*].Instances[*].InstanceId" }
        ResultPath     = "$.copies"
        Retry          = local.cleanup_retry
        Catch          = [{ ErrorEquals = ["States.ALL"], ResultPath = "$.left", Next = "Outcome" }]
        Next           = "HasCopies"
      }
      HasCopies = {
        Type    = "Choice"
        Comment = "Whether there is an instance to terminate."
        Choices = [{ Variable = "$.copies.ids[0]", IsPresent = true, Next = "TerminateCopies" }]
        Default = "Outcome"
      }
      TerminateCopies = {
        Type       = "Task"
        Comment    = "Terminates the instances that copy the snapshot."
        Resource   = "arn:aws:states:::aws-sdk:ec2:terminateInstances"
        Parameters = { "InstanceIds.$" = "$.copies.ids" }
        ResultPath = null
        Retry      = local.cleanup_retry
        Catch      = [{ ErrorEquals = ["States.ALL"], ResultPath = "$.left", Next = "Outcome" }]
        Next       = "Outcome"
      }
    },
  )
  first_cleanup = local.has_gpu ? "ScaleToZero" : "ListClusters"

  # Notifications by the state that follows; one that fails changes no outcome.
  notify_next = { for name in ["Left", "Failed", "Finished", "Cleaned"] : name => {
    Type       = "Task"
    Resource   = "arn:aws:states:::sns:publish"
    ResultPath = null
    Retry      = local.cleanup_retry
    Catch      = [{ ErrorEquals = ["States.ALL"], ResultPath = null, Next = name }]
    Next       = name
  } }

  # Lists the executions of the machine of runs, for both machines.
  list_runs = {
    Type           = "Task"
    Resource       = "arn:aws:states:::aws-sdk:sfn:listExecutions"
    Parameters     = { StateMachineArn = local.run_arn, StatusFilter = "RUNNING" }
    ResultSelector = { "names.$" = "$.Executions[*].Name" }
    ResultPath     = "$.runs"
    Retry          = local.cleanup_retry
  }

  outcome_states = {
    Outcome = {
      Type    = "Choice"
      Comment = "Reports a failed clean-up first: what remains costs money."
      Choices = [
        { Variable = "$.left", IsPresent = true, Next = "NotifyLeft" },
        { Variable = "$.error", IsPresent = true, Next = "NotifyFailure" },
      ]
      Default = "NotifySuccess"
    }
    NotifyLeft = merge(local.notify_next["Left"], {
      Comment = "Reports what to check by hand."
      Parameters = {
        TopicArn    = var.topic_arn
        Subject     = "${var.name}: clean-up failed"
        "Message.$" = "States.Format('The clean-up of ${var.name} failed: {}. Check the clusters named ${local.cluster}, the GPU workers and the instances named ${var.ingest.name}: they cost money.', $.left.Cause)"
      }
    })
    Left = { Type = "Fail", Comment = "Resources may remain.", Error = "CleanUpFailed", CausePath = "$.left.Cause" }
  }
  run_outcome_states = {
    NotifyFailure = merge(local.notify_next["Failed"], {
      Comment = "Reports that the run failed, and why."
      Parameters = {
        TopicArn    = var.topic_arn
        Subject     = "${var.name}: a run failed"
        "Message.$" = "States.Format('Run {} failed: {}: {}. All its clusters and workers are removed. See msd-spark aws logs, then resume with msd-spark aws run.', $.run, $.error.Error, $.error.Cause)"
      }
    })
    Failed = { Type = "Fail", Comment = "The run failed.", Error = "RunFailed", CausePath = "States.Format('{}: {}', $.error.Error, $.error.Cause)" }
    NotifySuccess = merge(local.notify_next["Finished"], {
      Comment = "Reports that the run is finished."
      Parameters = {
        TopicArn    = var.topic_arn
        Subject     = "${var.name}: a run is finished"
        "Message.$" = "States.Format('Run {} is finished; its tables are in the warehouse. All its clusters and workers are removed.', $.run)"
      }
    })
    Finished = { Type = "Succeed", Comment = "All stages are finished." }
  }

  run_definition = {
    Comment        = "All stages of msd-spark: Spark stages, training on GPU workers, Spark stages."
    TimeoutSeconds = var.settings.hours * 3600
    StartAt        = "ListRuns"
    States = merge(local.cleanup_states, local.outcome_states, local.run_outcome_states, {
      ListRuns = merge(local.list_runs, {
        Comment = "Finds the executions that are running, of which this is one."
        Next    = "IsOnlyRun"
      })
      IsOnlyRun = {
        Type    = "Choice"
        Comment = "Two runs would write the same tables, and the clean-up of one would remove the clusters of the other."
        Choices = [{ Variable = "$.runs.names[1]", IsPresent = true, Next = "OtherRun" }]
        Default = "Work"
      }
      OtherRun = {
        Type    = "Fail"
        Comment = "Nothing was started."
        Error   = "OtherRun"
        Cause   = "Another run is active; wait for it, see msd-spark aws status."
      }
      Work = {
        Type    = "Parallel"
        Comment = "All that can fail, as one branch."
        Branches = [{
          StartAt = "Source"
          States = merge(local.copy_states, local.emr_states, local.gpu_states, {
            Done = { Type = "Succeed", Comment = "All stages are finished." }
          })
        }]
        ResultPath = null
        Catch      = [{ ErrorEquals = ["States.ALL"], ResultPath = "$.error", Next = local.first_cleanup }]
        Next       = local.first_cleanup
      }
    })
  }

  cleanup_definition = {
    Comment        = "Removes the resources of a stopped run."
    TimeoutSeconds = 3600
    StartAt        = "IsCancelled"
    States = merge(local.cleanup_states, local.outcome_states, {
      IsCancelled = {
        Type    = "Choice"
        Comment = "msd-spark aws cancel has just stopped the run, which may still be listed."
        Choices = [{ Variable = "$.cancelled", IsPresent = true, Next = local.first_cleanup }]
        Default = "AwaitListing"
      }
      AwaitListing = { Type = "Wait", Comment = "Until the list of executions is current.", Seconds = var.settings.poll_seconds, Next = "ListRuns" }
      ListRuns = merge(local.list_runs, {
        Comment = "Finds the run that is running now, if any: the next one may have started."
        Next    = "HasRun"
      })
      HasRun = {
        Type    = "Choice"
        Comment = "Clusters and workers are those of the run that is running; it removes them itself."
        Choices = [{ Variable = "$.runs.names[0]", IsPresent = true, Next = "Cleaned" }]
        Default = local.first_cleanup
      }
      Outcome = {
        Type    = "Choice"
        Comment = "What could not be removed costs money."
        Choices = [
          { Variable = "$.left", IsPresent = true, Next = "NotifyLeft" },
          { And = [{ Variable = "$.status", IsPresent = true }, { Not = { Variable = "$.status", StringEquals = "FAILED" } }], Next = "NotifyStopped" },
        ]
        Default = "Cleaned"
      }
      NotifyStopped = merge(local.notify_next["Cleaned"], {
        Comment = "Reports that a run was aborted or took too long; it could not report this itself."
        Parameters = {
          TopicArn    = var.topic_arn
          Subject     = "${var.name}: a run was stopped"
          "Message.$" = "States.Format('Execution {} ended with status {}. All its clusters and workers are removed. Resume with msd-spark aws run.', $.execution, $.status)"
        }
      })
      Cleaned = { Type = "Succeed", Comment = "Nothing is left." }
    })
  }
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/${var.name}/run"
  retention_in_days = var.log_days
  kms_key_id        = var.kms_key_arn
  tags              = { Name = "${var.name}-run" }
}

resource "aws_sfn_state_machine" "run" {
  name       = local.cluster
  role_arn   = aws_iam_role.machine.arn
  definition = jsonencode(local.run_definition)
  tags       = { Name = local.cluster }

  logging_configuration {
    level                  = "ERROR"
    include_execution_data = true
    log_destination        = "${aws_cloudwatch_log_group.this.arn}:*"
  }

  tracing_configuration {
    enabled = true
  }

  depends_on = [aws_iam_role_policy.machine]
}

resource "aws_sfn_state_machine" "cleanup" {
  name       = "${var.name}-cleanup"
  role_arn   = aws_iam_role.machine.arn
  definition = jsonencode(local.cleanup_definition)
  tags       = { Name = "${var.name}-cleanup" }

  logging_configuration {
    level                  = "ERROR"
    include_execution_data = true
    log_destination        = "${aws_cloudwatch_log_group.this.arn}:*"
  }

  tracing_configuration {
    enabled = true
  }

  depends_on = [aws_iam_role_policy.machine]
}

resource "aws_cloudwatch_event_rule" "stopped" {
  name        = "${var.name}-stopped"
  description = "A run was aborted, timed out, or failed in a way that none of its own states could handle."
  event_pattern = jsonencode({
    source      = ["aws.states"]
    detail-type = ["Step Functions Execution Status Change"]
    detail = {
      stateMachineArn = [aws_sfn_state_machine.run.arn]
      status          = ["ABORTED", "FAILED", "TIMED_OUT"]
    }
  })
  tags = { Name = "${var.name}-stopped" }
}

resource "aws_cloudwatch_event_target" "cleanup" {
  rule     = aws_cloudwatch_event_rule.stopped.name
  arn      = aws_sfn_state_machine.cleanup.arn
  role_arn = aws_iam_role.rule.arn

  input_transformer {
    input_paths    = { execution = "$.detail.name", status = "$.detail.status" }
    input_template = "{\"execution\": \"<execution>\", \"status\": \"<status>\"}"
  }
}
