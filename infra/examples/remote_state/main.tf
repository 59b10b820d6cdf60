# A bucket for Terraform's state, so that several people can work on one stack, one at a time.
#
#   terraform -chdir=infra/examples/remote_state init
#   terraform -chdir=infra/examples/remote_state apply
#   terraform -chdir=infra/examples/remote_state output -raw backend > infra/backend.tf
#   terraform -chdir=infra init -migrate-state
#
# The lock is an object next to the state (use_lockfile), which S3 lets only one caller create, so DynamoDB is not
# needed.

terraform {
  required_version = ">= 1.10, < 2.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

variable "region" {
  description = "Region of the state's bucket."
  type        = string
  default     = "us-east-1"
}

variable "name" {
  description = "Prefix of the bucket's name; the account number follows."
  type        = string
  default     = "msd-spark-state"
}

provider "aws" {
  region = var.region

  default_tags {
    tags = { Project = "msd-spark", ManagedBy = "terraform", Name = var.name }
  }
}

data "aws_caller_identity" "current" {}

resource "aws_s3_bucket" "state" {
  # checkov:skip=CKV_AWS_18: CloudTrail records access to the state; a bucket for access logs would need another one.
  # checkov:skip=CKV_AWS_144: a lost state can be imported again; the stack is in one region.
  # checkov:skip=CKV2_AWS_62: a new state triggers nothing.
  bucket = "${var.name}-${data.aws_caller_identity.current.account_id}"

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "state" {
  bucket = aws_s3_bucket.state.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "state" {
  bucket = aws_s3_bucket.state.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm = "aws:kms"
    }
  }
}

resource "aws_s3_bucket_public_access_block" "state" {
  bucket                  = aws_s3_bucket.state.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_lifecycle_configuration" "state" {
  bucket = aws_s3_bucket.state.id

  rule {
    id     = "old-states"
    status = "Enabled"
    filter {}

    noncurrent_version_expiration {
      noncurrent_days = 90
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  depends_on = [aws_s3_bucket_versioning.state]
}

data "aws_iam_policy_document" "state" {
  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.state.arn, "${aws_s3_bucket.state.arn}/*"]

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

resource "aws_s3_bucket_policy" "state" {
  bucket = aws_s3_bucket.state.id
  policy = data.aws_iam_policy_document.state.json

  depends_on = [aws_s3_bucket_public_access_block.state]
}

output "backend" {
  description = "Content of infra/backend.tf."
  value       = <<-EOF
    terraform {
      backend "s3" {
        bucket       = "${aws_s3_bucket.state.id}"
        key          = "msd-spark/terraform.tfstate"
        region       = "${var.region}"
        encrypt      = true
        use_lockfile = true
      }
    }
  EOF
}
