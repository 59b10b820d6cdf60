# Buckets for data, tables, releases and logs: versioned, encrypted by one key, closed to the public, TLS only.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account     = data.aws_caller_identity.current.account_id
  kms_key_arn = var.settings.kms_key_arn == null ? aws_kms_key.this[0].arn : var.settings.kms_key_arn

  # Lifecycle of each bucket in days, by purpose; 0 means never.
  buckets = {
    raw       = { infrequent_after = var.settings.infrequent_raw_days, expire_after = 0 } # song files, as tar shards
    warehouse = { infrequent_after = 0, expire_after = 0 }                                # the tables, models, reports
    artefacts = { infrequent_after = 0, expire_after = 0 }                                # packed code and environments
    logs      = { infrequent_after = 0, expire_after = var.settings.log_days }            # of the cluster, nodes, buckets
  }
}

# ---- the key ----------------------------------------------------------------------------------------------------

data "aws_iam_policy_document" "key" {
  # checkov:skip=CKV_AWS_109: in a key policy "*" is the key itself.
  # checkov:skip=CKV_AWS_111: as above.
  # checkov:skip=CKV_AWS_356: as above.
  statement {
    sid       = "AccountDecidesByIam"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${data.aws_partition.current.partition}:iam::${local.account}:root"]
    }
  }

  statement {
    sid       = "AlarmsAndBudgetsPublish"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey*"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }

  statement {
    sid       = "LogGroups"
    actions   = ["kms:Decrypt*", "kms:DescribeKey", "kms:Encrypt*", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["logs.${data.aws_region.current.name}.amazonaws.com"]
    }

    condition {
      test     = "ArnLike"
      variable = "kms:EncryptionContext:aws:logs:arn"
      values = [
        "arn:${data.aws_partition.current.partition}:logs:${data.aws_region.current.name}:${local.account}:log-group:/${var.name}/*",
      ]
    }
  }
}

resource "aws_kms_key" "this" {
  count                   = var.settings.kms_key_arn == null ? 1 : 0
  description             = "${var.name}: buckets, disks, logs, alarms"
  enable_key_rotation     = true
  deletion_window_in_days = 7
  policy                  = data.aws_iam_policy_document.key.json
  tags                    = { Name = var.name }
}

resource "aws_kms_alias" "this" {
  count         = var.settings.kms_key_arn == null ? 1 : 0
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.this[0].key_id
}

# ---- the buckets ------------------------------------------------------------------------------------------------

resource "aws_s3_bucket" "this" {
  # checkov:skip=CKV_AWS_144: songs can be copied again and tables computed again; a second region doubles the cost.
  # checkov:skip=CKV2_AWS_62: new objects trigger nothing.
  # checkov:skip=CKV_AWS_18: all buckets except the log bucket itself have access logs.
  # checkov:skip=CKV_AWS_145: all buckets except the log bucket use the key; S3 delivers access logs to no such bucket.
  for_each      = local.buckets
  bucket        = "${var.name}-${each.key}-${local.account}"
  force_destroy = var.settings.force_destroy
  tags          = { Name = "${var.name}-${each.key}" }

  # A bucket that is kept because it is not empty keeps its key, without which its objects cannot be read.
  depends_on = [aws_kms_key.this]
}

resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = local.buckets
  bucket   = aws_s3_bucket.this[each.key].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each                = local.buckets
  bucket                  = aws_s3_bucket.this[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = local.buckets
  bucket   = aws_s3_bucket.this[each.key].id

  versioning_configuration {
    status = "Enabled"
  }
}

# S3 delivers access logs only to a bucket that it encrypts with its own key.
resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = local.buckets
  bucket   = aws_s3_bucket.this[each.key].id

  rule {
    bucket_key_enabled = each.key != "logs" # one call to KMS for many objects

    apply_server_side_encryption_by_default {
      sse_algorithm     = each.key == "logs" ? "AES256" : "aws:kms"
      kms_master_key_id = each.key == "logs" ? null : local.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each = local.buckets
  bucket   = aws_s3_bucket.this[each.key].id

  rule {
    id     = "housekeeping"
    status = "Enabled"
    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }

    noncurrent_version_expiration {
      noncurrent_days = var.settings.previous_versions
    }

    dynamic "transition" {
      for_each = each.value.infrequent_after > 0 ? [each.value.infrequent_after] : []
      content {
        days          = transition.value
        storage_class = "STANDARD_IA"
      }
    }

    dynamic "expiration" {
      for_each = each.value.expire_after > 0 ? [each.value.expire_after] : []
      content {
        days = expiration.value
      }
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}

data "aws_iam_policy_document" "bucket" {
  for_each = local.buckets

  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.this[each.key].arn, "${aws_s3_bucket.this[each.key].arn}/*"]

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

  dynamic "statement" {
    for_each = each.key == "logs" ? ["access"] : []
    content {
      sid       = "AccessLogsOfTheOthers"
      actions   = ["s3:PutObject"]
      resources = ["${aws_s3_bucket.this[each.key].arn}/access/*"]

      principals {
        type        = "Service"
        identifiers = ["logging.s3.amazonaws.com"]
      }

      condition {
        test     = "StringEquals"
        variable = "aws:SourceAccount"
        values   = [local.account]
      }
    }
  }
}

resource "aws_s3_bucket_policy" "this" {
  for_each = local.buckets
  bucket   = aws_s3_bucket.this[each.key].id
  policy   = data.aws_iam_policy_document.bucket[each.key].json

  depends_on = [aws_s3_bucket_public_access_block.this]
}

resource "aws_s3_bucket_logging" "this" {
  for_each      = { for role, bucket in local.buckets : role => bucket if role != "logs" }
  bucket        = aws_s3_bucket.this[each.key].id
  target_bucket = aws_s3_bucket.this["logs"].id
  target_prefix = "access/${each.key}/"

  depends_on = [aws_s3_bucket_policy.this] # which lets the log in
}
