data "aws_region" "current" {}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_iam_policy_document" "this" {
  statement {
    sid       = "ListWhatIsReadOrWritten"
    actions   = ["s3:GetBucketLocation", "s3:ListBucket"]
    resources = [for role in ["warehouse", "artefacts"] : var.buckets[role].arn]
  }

  statement {
    sid       = "ReadDatasetsAndSongs"
    actions   = ["s3:GetObject"]
    resources = [for folder in ["dataset", "songs"] : "${var.buckets["warehouse"].arn}/${folder}/*"]
  }

  # What training and its commands write; older files are deleted. The 2019 protocol also writes a dataset. Each verb
  # that writes first creates and deletes _writable-*, to check its permission.
  statement {
    sid     = "ReadAndWriteRuns"
    actions = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
    resources = [
      for place in ["_writable-", "models/", "searches/", "comparisons/", "evaluations/", "studies/", "dataset/*-2019/"] :
      "${var.buckets["warehouse"].arn}/${place}*"
    ]
  }

  # Arrow marks a folder with an empty object before it writes into it.
  statement {
    sid       = "MarkFolderOfDatasets"
    actions   = ["s3:PutObject"]
    resources = ["${var.buckets["warehouse"].arn}/dataset/"]
  }

  # wheels/ has the checksums of Horovod wheels that workers may install; no role of the stack may write there.
  statement {
    sid       = "ReadRelease"
    actions   = ["s3:GetObject"]
    resources = [for folder in ["code", "gpu_environment", "nodes", "wheels"] : "${var.buckets["artefacts"].arn}/${folder}/*"]
  }

  # Horovod wheels built by workers, and the workers' public keys.
  statement {
    sid       = "ShareAmongWorkers"
    actions   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
    resources = [for folder in ["gpu", "workers"] : "${var.buckets["artefacts"].arn}/${folder}/*"]
  }

  statement {
    sid       = "WriteLogs"
    actions   = ["s3:PutObject"]
    resources = ["${var.buckets["logs"].arn}/gpu/*"]
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

  # The head answers the state machine that runs the stages.
  statement {
    sid       = "AnswerStateMachine"
    actions   = ["states:SendTaskFailure", "states:SendTaskHeartbeat", "states:SendTaskSuccess"]
    resources = ["arn:${data.aws_partition.current.partition}:states:${data.aws_region.current.name}:${data.aws_caller_identity.current.account_id}:stateMachine:${var.name}-run"]
  }

  # Workers find each other by these actions, which accept no resource.
  statement {
    sid       = "FindWorkers"
    actions   = ["ec2:DescribeInstances"]
    resources = ["*"]
  }
}

module "node_role" {
  source = "../node_role"

  name                 = "${var.name}-gpu"
  policy               = data.aws_iam_policy_document.this.json
  permissions_boundary = var.permissions_boundary
}

# IAM does not allow adding permissions to the service role of Auto Scaling. This group has its own role, which the
# key's grant names: without the grant no instance with an encrypted disk starts.
resource "aws_iam_service_linked_role" "autoscaling" {
  aws_service_name = "autoscaling.amazonaws.com"
  custom_suffix    = var.name
  description      = "Launches ${var.name}'s GPU workers"
  tags             = { Name = "${var.name}-autoscaling" }
}

resource "aws_kms_grant" "autoscaling" {
  name              = "${var.name}-autoscaling"
  key_id            = var.kms_key_arn
  grantee_principal = aws_iam_service_linked_role.autoscaling.arn
  operations = [
    "CreateGrant", "Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext",
    "ReEncryptFrom", "ReEncryptTo",
  ]
}
