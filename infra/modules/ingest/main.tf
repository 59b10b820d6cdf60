# One instance with the dataset's public snapshot as a disk. It copies the songs to S3 as tar shards, reads them back,
# and stops itself. Started again, it resumes.

data "aws_region" "current" {}

data "aws_ssm_parameter" "ami" {
  count = var.settings.ami_id == null ? 1 : 0
  name  = var.settings.ami_parameter
}

locals {
  node    = "${var.name}-ingest"
  scripts = { for name in ["ingest_setup.sh", "copy_snapshot.sh"] : name => filesha256("${var.scripts}/${name}") }
}

resource "aws_s3_object" "script" {
  for_each    = local.scripts
  bucket      = var.buckets["artefacts"].id
  key         = "nodes/${each.key}"
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
    resources = ["${var.buckets["artefacts"].arn}/nodes/*"]
  }

  statement {
    sid       = "WriteLogs"
    actions   = ["s3:PutObject"]
    resources = ["${var.buckets["logs"].arn}/ingest/*"]
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

  name   = local.node
  policy = data.aws_iam_policy_document.this.json
}

resource "aws_instance" "this" {
  ami                                  = coalesce(var.settings.ami_id, one(data.aws_ssm_parameter.ami[*].insecure_value))
  instance_type                        = var.settings.instance_type
  subnet_id                            = var.subnet_id
  vpc_security_group_ids               = [aws_security_group.this.id]
  iam_instance_profile                 = module.node_role.profile_name
  ebs_optimized                        = true
  monitoring                           = true
  instance_initiated_shutdown_behavior = "stop"
  tags                                 = { Name = local.node }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    encrypted   = true
    kms_key_id  = var.kms_key_arn
    volume_type = "gp3"
    volume_size = 30
    tags        = merge(var.tags, { Name = "${local.node}-root" })
  }

  user_data = templatefile("${path.module}/user_data.sh.tftpl", {
    region    = data.aws_region.current.name
    artefacts = var.buckets["artefacts"].id
    logs      = var.buckets["logs"].id
    device    = aws_ebs_volume.songs.id
    folder    = var.settings.folder
    target    = var.target
    scripts   = local.scripts
  })

  lifecycle {
    # A newer Amazon Linux does not replace a running copy.
    ignore_changes = [ami]
  }

  depends_on = [aws_s3_object.script]
}

# The public snapshot is not encrypted; the disk created from it is. Throughput is paid for the hours of the copy.
resource "aws_ebs_volume" "songs" {
  availability_zone = var.zone
  snapshot_id       = var.settings.snapshot_id
  size              = var.settings.volume_gb
  type              = "gp3"
  throughput        = 500
  iops              = 6000
  encrypted         = true
  kms_key_id        = var.kms_key_arn
  tags              = { Name = "${local.node}-songs" }
}

resource "aws_volume_attachment" "songs" {
  device_name                    = "/dev/sdf"
  volume_id                      = aws_ebs_volume.songs.id
  instance_id                    = aws_instance.this.id
  stop_instance_before_detaching = true
}
