# Alarms for unhealthy nodes, failed steps, costly resources that run idle, and the budget.

data "aws_caller_identity" "current" {}

resource "aws_sns_topic" "alarms" {
  name              = "${var.name}-alarms"
  kms_master_key_id = var.kms_key_arn
  tags              = { Name = "${var.name}-alarms" }
}

data "aws_iam_policy_document" "topic" {
  statement {
    sid       = "AlarmsEventsAndBudgets"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alarms.arn]

    principals {
      type        = "Service"
      identifiers = ["budgets.amazonaws.com", "cloudwatch.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }

  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alarms.arn]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_sns_topic_policy" "alarms" {
  arn    = aws_sns_topic.alarms.arn
  policy = data.aws_iam_policy_document.topic.json
}

resource "aws_sns_topic_subscription" "email" {
  count     = var.settings.email == null ? 0 : 1
  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = var.settings.email
}

locals {
  cluster_alarms = var.has_cluster ? {
    unhealthy-nodes = {
      metric      = "MRUnhealthyNodes", statistic = "Maximum", comparison = "GreaterThanThreshold", threshold = 0, periods = 3
      description = "YARN has taken nodes out of service."
    }
    disk-full = {
      metric      = "HDFSUtilization", statistic = "Maximum", comparison = "GreaterThanThreshold", threshold = 80, periods = 3
      description = "HDFS, where shuffles and logs lie, is nearly full."
    }
    failed-apps = {
      metric      = "AppsFailed", statistic = "Maximum", comparison = "GreaterThanThreshold", threshold = 0, periods = 1
      description = "A Spark application failed."
    }
    # An idle cluster terminates itself; one that does not should be checked.
    idle = {
      metric      = "IsIdle", statistic = "Minimum", comparison = "GreaterThanOrEqualToThreshold", threshold = 1, periods = 24
      description = "The cluster has been idle for two hours and has not ended."
    }
  } : {}
}

resource "aws_cloudwatch_metric_alarm" "cluster" {
  for_each            = local.cluster_alarms
  alarm_name          = "${var.name}-spark-${each.key}"
  alarm_description   = each.value.description
  namespace           = "AWS/ElasticMapReduce"
  metric_name         = each.value.metric
  dimensions          = { JobFlowId = var.cluster_id }
  statistic           = each.value.statistic
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  period              = 300
  evaluation_periods  = each.value.periods
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  tags                = { Name = "${var.name}-spark-${each.key}" }
}

# The group scales to none when idle; this alarm reports a training that takes longer than a day.
resource "aws_cloudwatch_metric_alarm" "workers_awake" {
  count               = var.has_workers ? 1 : 0
  alarm_name          = "${var.name}-gpu-awake"
  alarm_description   = "GPU workers have been running for a day."
  namespace           = "AWS/EC2"
  metric_name         = "CPUUtilization"
  dimensions          = { AutoScalingGroupName = var.group }
  statistic           = "SampleCount"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 3600
  evaluation_periods  = 24
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  tags                = { Name = "${var.name}-gpu-awake" }
}

locals {
  cluster_charts = var.has_cluster ? [
    { title = "Spark: memory that YARN has left, %", metrics = [["AWS/ElasticMapReduce", "YARNMemoryAvailablePercentage", "JobFlowId", var.cluster_id]] },
    { title = "Spark: containers", metrics = [for kind in ["ContainerAllocated", "ContainerPending"] : ["AWS/ElasticMapReduce", kind, "JobFlowId", var.cluster_id]] },
    { title = "Spark: nodes", metrics = [for kind in ["CoreNodesRunning", "TaskNodesRunning", "MRUnhealthyNodes"] : ["AWS/ElasticMapReduce", kind, "JobFlowId", var.cluster_id]] },
    { title = "Spark: bytes from and to S3", metrics = [for kind in ["S3BytesRead", "S3BytesWritten"] : ["AWS/ElasticMapReduce", kind, "JobFlowId", var.cluster_id]] },
  ] : []
  worker_charts = var.has_workers ? [
    { title = "GPU workers: CPU, %", metrics = [["AWS/EC2", "CPUUtilization", "AutoScalingGroupName", var.group]] },
    { title = "GPU workers: network, bytes", metrics = [for kind in ["NetworkIn", "NetworkOut"] : ["AWS/EC2", kind, "AutoScalingGroupName", var.group]] },
  ] : []
  charts = concat(local.cluster_charts, local.worker_charts)
}

resource "aws_cloudwatch_dashboard" "this" {
  count          = length(local.charts) > 0 ? 1 : 0
  dashboard_name = var.name
  dashboard_body = jsonencode({
    widgets = [
      for index, chart in local.charts : {
        type   = "metric"
        x      = 12 * (index % 2)
        y      = 6 * floor(index / 2)
        width  = 12
        height = 6
        properties = {
          title   = chart.title
          region  = var.region
          metrics = chart.metrics
          view    = "timeSeries"
          stat    = "Average"
          period  = 300
        }
      }
    ]
  })
}

resource "aws_budgets_budget" "monthly" {
  count        = var.settings.monthly_budget_usd > 0 ? 1 : 0
  name         = "${var.name}-monthly"
  budget_type  = "COST"
  limit_amount = tostring(var.settings.monthly_budget_usd)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"
  tags         = { Name = "${var.name}-monthly" }

  # Effective once the tag is activated for cost allocation.
  cost_filter {
    name   = "TagKeyValue"
    values = [format("user:Project$%s", var.project)]
  }

  dynamic "notification" {
    for_each = { ACTUAL = 80, FORECASTED = 100 }
    content {
      comparison_operator       = "GREATER_THAN"
      notification_type         = notification.key
      threshold                 = notification.value
      threshold_type            = "PERCENTAGE"
      subscriber_sns_topic_arns = [aws_sns_topic.alarms.arn]
    }
  }
}
