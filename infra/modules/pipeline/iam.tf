# Two roles: that of the state machines, and that of the rule which starts the clean-up.

locals {
  account = data.aws_caller_identity.current.account_id
  arn     = "arn:${data.aws_partition.current.partition}"
  here    = "${data.aws_region.current.name}:${local.account}"
}

data "aws_iam_policy_document" "trust" {
  for_each = { machine = "states.amazonaws.com", rule = "events.amazonaws.com" }

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = [each.value]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

data "aws_iam_policy_document" "machine" {
  # checkov:skip=CKV_AWS_111: the actions on "*" accept no resource, or only one that does not exist yet.
  # checkov:skip=CKV_AWS_356: as above.
  statement {
    sid       = "CreateClusters"
    actions   = ["elasticmapreduce:RunJobFlow", "elasticmapreduce:AddTags", "elasticmapreduce:ListClusters"]
    resources = ["*"]
  }

  statement {
    sid = "UseClusters"
    actions = [
      "elasticmapreduce:AddJobFlowSteps",
      "elasticmapreduce:CancelSteps",
      "elasticmapreduce:DescribeCluster",
      "elasticmapreduce:DescribeStep",
      "elasticmapreduce:PutAutoTerminationPolicy",
      "elasticmapreduce:PutManagedScalingPolicy",
      "elasticmapreduce:TerminateJobFlows",
    ]
    resources = ["${local.arn}:elasticmapreduce:${local.here}:cluster/*"]
  }

  # Step Functions follows clusters and steps by rules of its own.
  statement {
    sid       = "FollowClusters"
    actions   = ["events:DescribeRule", "events:PutRule", "events:PutTargets"]
    resources = [for event in ["RunJobFlow", "AddJobFlowSteps", "TerminateJobFlows"] : "${local.arn}:events:${local.here}:rule/StepFunctionsGetEventForEMR${event}Rule"]
  }

  dynamic "statement" {
    for_each = var.emr == null ? {} : { EmrServiceRole = [0, "elasticmapreduce.amazonaws.com"], EmrNodeRole = [1, "ec2.amazonaws.com"] }
    content {
      sid       = "PassOn${statement.key}"
      actions   = ["iam:PassRole"]
      resources = [var.emr.role_arns[statement.value[0]]]

      condition {
        test     = "StringEquals"
        variable = "iam:PassedToService"
        values   = [statement.value[1]]
      }
    }
  }

  # EMR needs this role to remove instances of a cluster whose own roles are gone.
  statement {
    sid       = "CreateCleanupRoleOfEmr"
    actions   = ["iam:CreateServiceLinkedRole"]
    resources = ["${local.arn}:iam::${local.account}:role/aws-service-role/elasticmapreduce.amazonaws.com/AWSServiceRoleForEMRCleanup"]

    condition {
      test     = "StringEquals"
      variable = "iam:AWSServiceName"
      values   = ["elasticmapreduce.amazonaws.com"]
    }
  }

  dynamic "statement" {
    for_each = var.gpu == null ? [] : [var.gpu.group_arn]
    content {
      sid       = "ScaleWorkers"
      actions   = ["autoscaling:SetDesiredCapacity", "autoscaling:SetInstanceHealth"]
      resources = [statement.value]
    }
  }

  statement {
    sid       = "FindInstances"
    actions   = ["autoscaling:DescribeAutoScalingGroups", "ec2:DescribeInstances"]
    resources = ["*"]
  }

  statement {
    sid       = "ListRuns"
    actions   = ["states:ListExecutions"]
    resources = [local.run_arn]
  }

  statement {
    sid       = "SendShellCommands"
    actions   = ["ssm:SendCommand"]
    resources = ["${local.arn}:ssm:${data.aws_region.current.name}::document/AWS-RunShellScript"]
  }

  statement {
    sid       = "SendCommandsToOwnInstances"
    actions   = ["ssm:SendCommand"]
    resources = ["${local.arn}:ec2:${local.here}:instance/*"]

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/Name"
      values   = concat([var.ingest.name], var.gpu == null ? [] : [var.gpu.group])
    }
  }

  statement {
    sid     = "LaunchCopy"
    actions = ["ec2:RunInstances"]
    resources = concat(
      [for kind in ["instance", "launch-template", "network-interface", "security-group", "subnet", "volume"] : "${local.arn}:ec2:${local.here}:${kind}/*"],
      [for kind in ["image", "snapshot"] : "${local.arn}:ec2:${data.aws_region.current.name}::${kind}/*"],
    )

    condition {
      test     = "ArnEquals"
      variable = "ec2:LaunchTemplate"
      values   = [var.ingest.template_arn]
    }

    # No resource that the template names may be replaced by another.
    condition {
      test     = "Bool"
      variable = "ec2:IsLaunchTemplateResource"
      values   = ["true"]
    }
  }

  statement {
    sid       = "TagCopy"
    actions   = ["ec2:CreateTags"]
    resources = ["${local.arn}:ec2:${local.here}:*/*"]

    condition {
      test     = "StringEquals"
      variable = "ec2:CreateAction"
      values   = ["RunInstances"]
    }
  }

  statement {
    sid       = "TerminateCopy"
    actions   = ["ec2:TerminateInstances"]
    resources = ["${local.arn}:ec2:${local.here}:instance/*"]

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/Name"
      values   = [var.ingest.name]
    }
  }

  statement {
    sid       = "PassOnCopyRole"
    actions   = ["iam:PassRole"]
    resources = [var.ingest.role_arn]

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ec2.amazonaws.com"]
    }
  }

  # For the encrypted disks of the copying instance, and the encrypted topic.
  statement {
    sid       = "UseKey"
    actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
    resources = [var.kms_key_arn]
  }

  statement {
    sid       = "LetEc2AttachDisks"
    actions   = ["kms:CreateGrant"]
    resources = [var.kms_key_arn]

    condition {
      test     = "Bool"
      variable = "kms:GrantIsForAWSResource"
      values   = ["true"]
    }
  }

  statement {
    sid       = "Notify"
    actions   = ["sns:Publish"]
    resources = [var.topic_arn]
  }

  # These actions accept no resource.
  statement {
    sid = "LogAndTrace"
    actions = [
      "logs:CreateLogDelivery",
      "logs:DeleteLogDelivery",
      "logs:DescribeLogGroups",
      "logs:DescribeResourcePolicies",
      "logs:GetLogDelivery",
      "logs:ListLogDeliveries",
      "logs:PutResourcePolicy",
      "logs:UpdateLogDelivery",
      "xray:GetSamplingRules",
      "xray:GetSamplingTargets",
      "xray:PutTelemetryRecords",
      "xray:PutTraceSegments",
    ]
    resources = ["*"]
  }
}

resource "aws_iam_role" "machine" {
  name                 = "${var.name}-run"
  assume_role_policy   = data.aws_iam_policy_document.trust["machine"].json
  permissions_boundary = var.permissions_boundary
  tags                 = { Name = "${var.name}-run" }
}

resource "aws_iam_role_policy" "machine" {
  name   = "${var.name}-run"
  role   = aws_iam_role.machine.id
  policy = data.aws_iam_policy_document.machine.json
}

data "aws_iam_policy_document" "rule" {
  statement {
    sid       = "StartCleanup"
    actions   = ["states:StartExecution"]
    resources = [aws_sfn_state_machine.cleanup.arn]
  }
}

resource "aws_iam_role" "rule" {
  name                 = "${var.name}-stopped"
  assume_role_policy   = data.aws_iam_policy_document.trust["rule"].json
  permissions_boundary = var.permissions_boundary
  tags                 = { Name = "${var.name}-stopped" }
}

resource "aws_iam_role_policy" "rule" {
  name   = "${var.name}-stopped"
  role   = aws_iam_role.rule.id
  policy = data.aws_iam_policy_document.rule.json
}
