# The template of an instance with the dataset's public snapshot as a disk. The state machine launches it and has it copy
# the songs to S3 as tar shards. Launched again, it resumes. Nothing runs, and no disk exists, until then.

data "aws_region" "current" {}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_ssm_parameter" "ami" {
  count = var.settings.ami_id == null ? 1 : 0
  name  = var.settings.ami_parameter
}

locals {
  node    = "${var.name}-ingest"
  scripts = { for name in ["ingest_copy.sh", "copy_snapshot.sh", "node_task.sh"] : name => filesha256("${var.scripts}/${name}") }
}

resource "aws_s3_object" "script" {
  for_each    = local.scripts
  bucket      = var.buckets["artefacts"].id
  key         = "nodes/ingest/${each.key}"
  source      = "${var.scripts}/${each.key}"
  source_hash = each.value
  kms_key_id  = var.kms_key_arn
  tags        = { Name = "${var.name}-${replace(trimsuffix(each.key, ".sh"), "_", "-")}" }
}

resource "aws_security_group" "this" {
  name        = local.node
  description = "Ingest instance: HTTPS outwards, nothing inwards"
  vpc_id      = var.vpc_id
  tags        = { Name = local.node }
}

resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.this.id
  description       = "HTTPS to any address, for AWS's APIs"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  tags              = { Name = "${local.node}-https" }
}

data "aws_iam_policy_document" "this" {
  statement {
    sid       = "ListShards"
    actions   = ["s3:GetBucketLocation", "s3:ListBucket"]
    resources = [var.buckets["raw"].arn]
  }

  statement {
    sid       = "WriteAndReadBackShards"
    actions   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
    resources = ["${var.buckets["raw"].arn}/*"]
  }

  statement {
    sid       = "ReadScripts"
    actions   = ["s3:GetObject"]
    resources = ["${var.buckets["artefacts"].arn}/nodes/ingest/*"]
  }

  statement {
    sid       = "WriteLogs"
    actions   = ["s3:PutObject"]
    resources = ["${var.buckets["logs"].arn}/ingest/*"]
  }

  statement {
    sid       = "AnswerStateMachine"
    actions   = ["states:SendTaskFailure", "states:SendTaskHeartbeat", "states:SendTaskSuccess"]
    resources = ["arn:${data.aws_partition.current.partition}:states:${data.aws_region.current.name}:${data.aws_caller_identity.current.account_id}:stateMachine:${var.name}-run"]
  }

  statement {
    sid       = "DecryptAndEncryptInS3"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [var.kms_key_arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.${data.aws_region.current.name}.amazonaws.com"]
    }
  }
}

module "node_role" {
  source = "../node_role"

  name                 = local.node
  policy               = data.aws_iam_policy_document.this.json
  permissions_boundary = var.permissions_boundary
}

resource "aws_launch_template" "this" {
  name                                 = local.node
  image_id                             = coalesce(var.settings.ami_id, one(data.aws_ssm_parameter.ami[*].insecure_value))
  instance_type                        = var.settings.instance_type
  ebs_optimized                        = true
  instance_initiated_shutdown_behavior = "terminate"
  update_default_version               = true
  tags                                 = { Name = local.node }

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

  network_interfaces {
    device_index                = 0
    associate_public_ip_address = false
    delete_on_termination       = true
    security_groups             = [aws_security_group.this.id]
    subnet_id                   = var.subnet_id
  }

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      volume_size           = 30
      volume_type           = "gp3"
      encrypted             = true
      kms_key_id            = var.kms_key_arn
      delete_on_termination = true
    }
  }

  # The public snapshot is not encrypted; the disk created from it is. Throughput is paid for the hours of the copy.
  block_device_mappings {
    device_name = "/dev/sdf"

    ebs {
      snapshot_id           = var.settings.snapshot_id
      volume_size           = var.settings.volume_gb
      volume_type           = "gp3"
      throughput            = 500
      iops                  = 6000
      encrypted             = true
      kms_key_id            = var.kms_key_arn
      delete_on_termination = true
    }
  }

  dynamic "tag_specifications" {
    for_each = toset(["instance", "volume", "network-interface"])
    content {
      resource_type = tag_specifications.value
      tags          = merge(var.tags, { Name = local.node })
    }
  }

  user_data = base64encode(templatefile("${path.module}/user_data.sh.tftpl", {
    region    = data.aws_region.current.name
    artefacts = var.buckets["artefacts"].id
    logs      = var.buckets["logs"].id
    folder    = var.settings.folder
    target    = var.target
    scripts   = local.scripts
  }))

  depends_on = [aws_s3_object.script]
}
