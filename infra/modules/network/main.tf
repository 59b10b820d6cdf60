# Nodes are in private subnets without public addresses. S3 traffic uses a gateway endpoint, which is free and keeps the
# dataset's 280 GB off the NAT; other traffic (AWS APIs, EMR's metrics for managed scaling, Python packages for GPU
# workers) uses one NAT gateway.

data "aws_region" "current" {}

data "aws_availability_zones" "available" {
  # checkov:skip=CKV_AWS_394: names are sorted and only the first few are used; a new zone sorts after them.
  state = "available"

  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

locals {
  zones = slice(data.aws_availability_zones.available.names, 0, var.settings.zones)
  # EMR's managed service policy applies only to resources with this tag.
  emr_tag = { "for-use-with-amazon-emr-managed-policies" = "true" }
}

resource "aws_vpc" "this" {
  cidr_block           = var.settings.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = merge(local.emr_tag, { Name = var.name })
}

# The default group has no rules, so that nothing uses it by accident.
resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = "${var.name}-unused" }
}

resource "aws_subnet" "private" {
  for_each          = { for index, zone in local.zones : zone => index }
  vpc_id            = aws_vpc.this.id
  cidr_block        = cidrsubnet(var.settings.cidr, 4, each.value + 1)
  availability_zone = each.key
  tags              = merge(local.emr_tag, { Name = "${var.name}-private-${each.key}" })
}

# Contains only the NAT gateway.
resource "aws_subnet" "nat" {
  vpc_id                  = aws_vpc.this.id
  cidr_block              = cidrsubnet(var.settings.cidr, 8, 0)
  availability_zone       = local.zones[0]
  map_public_ip_on_launch = false
  tags                    = { Name = "${var.name}-nat" }
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = var.name }
}

resource "aws_eip" "nat" {
  domain = "vpc"
  tags   = { Name = "${var.name}-nat" }
}

resource "aws_nat_gateway" "this" {
  allocation_id = aws_eip.nat.id
  subnet_id     = aws_subnet.nat.id
  tags          = { Name = var.name }

  depends_on = [aws_internet_gateway.this]
}

resource "aws_route_table" "nat" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = "${var.name}-nat" }
}

resource "aws_route" "nat" {
  route_table_id         = aws_route_table.nat.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route_table_association" "nat" {
  subnet_id      = aws_subnet.nat.id
  route_table_id = aws_route_table.nat.id
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.this.id
  tags   = { Name = "${var.name}-private" }
}

resource "aws_route" "private" {
  route_table_id         = aws_route_table.private.id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this.id
}

resource "aws_route_table_association" "private" {
  for_each       = aws_subnet.private
  subnet_id      = each.value.id
  route_table_id = aws_route_table.private.id
}

# The endpoint allows the stack's own buckets, and reading those from which Amazon serves packages, agents and EMR's
# software. It limits traffic through the endpoint only: the NAT gateway reaches any address.
data "aws_iam_policy_document" "s3_endpoint" {
  # checkov:skip=CKV_AWS_283: an endpoint's policy grants nothing; it restricts what the callers' own policies allow.
  statement {
    sid       = "OwnBuckets"
    actions   = ["s3:*"]
    resources = flatten([for arn in var.bucket_arns : [arn, "${arn}/*"]])

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }
  }

  statement {
    sid     = "AmazonsSoftware"
    actions = ["s3:GetObject"]
    resources = [for bucket in [
      "al2023-repos-${data.aws_region.current.name}-*",
      "amazon-ssm-${data.aws_region.current.name}",
      "amazon-ssm-packages-${data.aws_region.current.name}",
      "aws-ssm-${data.aws_region.current.name}",
      "${data.aws_region.current.name}.elasticmapreduce",
      "${data.aws_region.current.name}.elasticmapreduce.samples",
      "elasticmapreduce",
      "packages.${data.aws_region.current.name}.amazonaws.com",
      "prod.${data.aws_region.current.name}.appinfo.src",
      "repo.${data.aws_region.current.name}.amazonaws.com",
      "repo.${data.aws_region.current.name}.emr.amazonaws.com",
    ] : "arn:aws:s3:::${bucket}/*"]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }
  }
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${data.aws_region.current.name}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.private.id]
  policy            = data.aws_iam_policy_document.s3_endpoint.json
  tags              = { Name = "${var.name}-s3" }
}

# ---- rejected traffic ----------------------------------------------------------------------------------------

resource "aws_cloudwatch_log_group" "flow" {
  name              = "/${var.name}/network"
  retention_in_days = var.log_days
  kms_key_id        = var.kms_key_arn
  tags              = { Name = "${var.name}-network" }
}

data "aws_caller_identity" "current" {}

data "aws_iam_policy_document" "flow_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["vpc-flow-logs.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }
}

data "aws_iam_policy_document" "flow" {
  statement {
    sid       = "WriteFlowLog"
    actions   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.flow.arn}:*"]
  }
}

resource "aws_iam_role" "flow" {
  name                 = "${var.name}-flow-log"
  assume_role_policy   = data.aws_iam_policy_document.flow_trust.json
  permissions_boundary = var.permissions_boundary
  tags                 = { Name = "${var.name}-flow-log" }
}

resource "aws_iam_role_policy" "flow" {
  name   = "${var.name}-flow-log"
  role   = aws_iam_role.flow.id
  policy = data.aws_iam_policy_document.flow.json
}

resource "aws_flow_log" "this" {
  vpc_id          = aws_vpc.this.id
  traffic_type    = "REJECT"
  log_destination = aws_cloudwatch_log_group.flow.arn
  iam_role_arn    = aws_iam_role.flow.arn
  tags            = { Name = "${var.name}-rejected" }
}
