# Workers for Horovod. The group has none until it is scaled up, and scales to none when idle.

# One image by its exact name: its driver and CUDA do not change between two plans.
data "aws_ami" "this" {
  count              = var.settings.ami_id == null ? 1 : 0
  owners             = ["amazon"]
  include_deprecated = true

  filter {
    name   = "name"
    values = [var.settings.ami_name]
  }
}

data "aws_ec2_instance_type" "this" {
  instance_type = var.settings.instance_type
}

locals {
  group  = "${var.name}-gpu"
  ami_id = coalesce(var.settings.ami_id, one(data.aws_ami.this[*].id))
  gpus   = sum(concat([0], [for gpu in data.aws_ec2_instance_type.this.gpus : gpu.count]))
  vcpus  = data.aws_ec2_instance_type.this.default_vcpus

  # gpu_setup.sh is called by the user data, which fetches all scripts; each is verified by its checksum.
  scripts = {
    for name in [
      "gpu_setup.sh", "gpu_disks.sh", "gpu_horovod.sh", "gpu_members.sh", "gpu_discover.sh", "gpu_horovodrun.sh",
      "gpu_stage.sh", "node_task.sh",
    ] :
    name => filesha256("${var.scripts}/${name}")
  }
}

resource "aws_s3_object" "script" {
  for_each    = local.scripts
  bucket      = var.buckets["artefacts"].id
  key         = "nodes/gpu/${each.key}"
  source      = "${var.scripts}/${each.key}"
  source_hash = each.value
  kms_key_id  = var.kms_key_arn
  tags        = { Name = "${var.name}-${replace(trimsuffix(each.key, ".sh"), "_", "-")}" }
}

resource "aws_placement_group" "this" {
  name     = local.group
  strategy = "cluster" # gradients go between neighbours
  tags     = { Name = local.group }
}

resource "aws_security_group" "this" {
  name        = local.group
  description = "Horovod workers: all traffic among themselves, HTTPS outwards, nothing inwards"
  vpc_id      = var.vpc_id
  tags        = { Name = local.group }
}

# Gloo and NCCL use arbitrary ports.
resource "aws_vpc_security_group_ingress_rule" "among" {
  security_group_id            = aws_security_group.this.id
  description                  = "From the other workers"
  referenced_security_group_id = aws_security_group.this.id
  ip_protocol                  = "-1"
  tags                         = { Name = "${local.group}-in" }
}

resource "aws_vpc_security_group_egress_rule" "among" {
  security_group_id            = aws_security_group.this.id
  description                  = "To the other workers"
  referenced_security_group_id = aws_security_group.this.id
  ip_protocol                  = "-1"
  tags                         = { Name = "${local.group}-out" }
}

resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.this.id
  description       = "HTTPS to any address, for AWS's APIs and Amazon Linux packages"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  tags              = { Name = "${local.group}-https" }
}

resource "aws_launch_template" "this" {
  name                   = local.group
  image_id               = local.ami_id
  instance_type          = var.settings.instance_type
  update_default_version = true
  tags                   = { Name = local.group }

  iam_instance_profile {
    arn = module.node_role.profile_arn
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  monitoring {
    enabled = true
  }

  placement {
    group_name = aws_placement_group.this.name
  }

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      volume_size           = var.settings.volume_gb
      volume_type           = "gp3"
      encrypted             = true
      kms_key_id            = var.kms_key_arn
      delete_on_termination = true
    }
  }

  network_interfaces {
    device_index                = 0
    associate_public_ip_address = false
    delete_on_termination       = true
    security_groups             = [aws_security_group.this.id]
    subnet_id                   = var.subnet_id
  }

  dynamic "instance_market_options" {
    for_each = var.settings.spot ? ["spot"] : []
    content {
      market_type = "spot"
    }
  }

  dynamic "tag_specifications" {
    for_each = toset(["instance", "volume", "network-interface"])
    content {
      resource_type = tag_specifications.value
      tags          = merge(var.tags, { Name = local.group })
    }
  }

  user_data = base64encode(templatefile("${path.module}/user_data.sh.tftpl", {
    region      = data.aws_region.current.name
    artefacts   = var.buckets["artefacts"].id
    logs        = var.buckets["logs"].id
    group       = local.group
    code        = var.release.code
    environment = var.release.gpu_environment
    cuda        = var.settings.cuda
    min_workers = coalesce(var.settings.min_workers, var.settings.workers)
    scripts     = local.scripts
  }))

  lifecycle {
    precondition {
      condition     = local.gpus > 0
      error_message = "gpu.instance_type ${var.settings.instance_type} has no GPU; choose for example g5.12xlarge (4) or g5.xlarge (1)."
    }
  }

  depends_on = [aws_s3_object.script]
}

resource "aws_autoscaling_group" "this" {
  name                      = local.group
  min_size                  = 0
  max_size                  = var.settings.workers
  desired_capacity          = 0
  vpc_zone_identifier       = [var.subnet_id]
  service_linked_role_arn   = aws_iam_service_linked_role.autoscaling.arn
  health_check_type         = "EC2"
  health_check_grace_period = 600
  default_instance_warmup   = 300

  launch_template {
    id      = aws_launch_template.this.id
    version = aws_launch_template.this.latest_version
  }

  dynamic "tag" {
    for_each = merge(var.tags, { Name = local.group })
    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = true
    }
  }

  lifecycle {
    ignore_changes = [desired_capacity] # scaled by the state machine or by hand, put to sleep by the alarm
  }

  depends_on = [aws_kms_grant.autoscaling]
}

# ---- scale to none when idle -------------------------------------------------------------------------------------------

resource "aws_autoscaling_policy" "sleep" {
  name                   = "${local.group}-sleep"
  autoscaling_group_name = aws_autoscaling_group.this.name
  policy_type            = "SimpleScaling"
  adjustment_type        = "ExactCapacity"
  scaling_adjustment     = 0
  cooldown               = 300
}

# Idle means less than half a core in use on every worker: a training rank keeps at least one core busy.
resource "aws_cloudwatch_metric_alarm" "idle" {
  alarm_name          = "${local.group}-idle"
  alarm_description   = "No worker has been busy for ${var.settings.idle_minutes} minutes; the group scales to 0."
  namespace           = "AWS/EC2"
  metric_name         = "CPUUtilization"
  dimensions          = { AutoScalingGroupName = aws_autoscaling_group.this.name }
  statistic           = "Maximum"
  comparison_operator = "LessThanThreshold"
  threshold           = 50 / local.vcpus
  period              = 300
  evaluation_periods  = ceil(var.settings.idle_minutes / 5)
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_autoscaling_policy.sleep.arn]
  tags                = { Name = "${local.group}-idle" }
}
