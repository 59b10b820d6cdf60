# Two roles: the service role of EMR, and the role of the nodes, which limits what jobs may do.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

data "aws_iam_policy_document" "service_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["elasticmapreduce.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values = [
        "arn:${data.aws_partition.current.partition}:elasticmapreduce:${data.aws_region.current.name}:${data.aws_caller_identity.current.account_id}:*",
      ]
    }
  }
}

resource "aws_iam_role" "service" {
  name                 = "${var.name}-emr-service"
  assume_role_policy   = data.aws_iam_policy_document.service_trust.json
  permissions_boundary = var.permissions_boundary
  tags                 = merge(local.emr_tag, { Name = "${var.name}-emr-service" })
}

resource "aws_iam_role_policy_attachment" "service" {
  role       = aws_iam_role.service.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AmazonEMRServicePolicy_v2"
}

data "aws_iam_policy_document" "service" {
  statement {
    sid       = "GiveNodesTheirRole"
    actions   = ["iam:PassRole"]
    resources = [module.node_role.role_arn]

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ec2.amazonaws.com"]
    }
  }

  # EC2 needs this role to start the first Spot instance of an account.
  statement {
    sid       = "CreateRoleOfSpot"
    actions   = ["iam:CreateServiceLinkedRole"]
    resources = ["arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"]

    condition {
      test     = "StringEquals"
      variable = "iam:AWSServiceName"
      values   = ["spot.amazonaws.com"]
    }
  }

  statement {
    sid       = "EncryptDisks"
    actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
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
}

resource "aws_iam_role_policy" "service" {
  name   = "${var.name}-emr-service"
  role   = aws_iam_role.service.id
  policy = data.aws_iam_policy_document.service.json
}

data "aws_iam_policy_document" "node" {
  statement {
    sid     = "ListWhatIsReadOrWritten"
    actions = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
    resources = concat(
      [for role in ["raw", "warehouse", "artefacts"] : var.buckets[role].arn],
      var.data_bucket_arn == null ? [] : [var.data_bucket_arn],
    )
  }

  statement {
    sid     = "ReadData"
    actions = ["s3:GetObject"]
    resources = concat(
      ["${var.buckets["raw"].arn}/*"],
      var.data_bucket_arn == null ? [] : ["${var.data_bucket_arn}/*"],
    )
  }

  statement {
    sid       = "ReadRelease"
    actions   = ["s3:GetObject"]
    resources = [for folder in ["certificates", "code", "environment", "nodes"] : "${var.buckets["artefacts"].arn}/${folder}/*"]
  }

  statement {
    sid       = "ReadAndWriteTables"
    actions   = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
    resources = ["${var.buckets["warehouse"].arn}/*"]
  }

  # Training writes these folders on the GPU workers; jobs only read them.
  statement {
    sid     = "LeaveRunsToTraining"
    effect  = "Deny"
    actions = ["s3:DeleteObject", "s3:PutObject"]
    resources = [
      for folder in ["models", "searches", "comparisons", "evaluations"] : "${var.buckets["warehouse"].arn}/${folder}/*"
    ]
  }

  statement {
    sid       = "WriteLogs"
    actions   = ["s3:PutObject"]
    resources = ["${var.buckets["logs"].arn}/emr/*"]
  }

  statement {
    sid       = "DecryptAndEncrypt"
    actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
    resources = [var.kms_key_arn]
  }
}

module "node_role" {
  source = "../node_role"

  name                 = "${var.name}-emr-node"
  policy               = data.aws_iam_policy_document.node.json
  permissions_boundary = var.permissions_boundary
}
