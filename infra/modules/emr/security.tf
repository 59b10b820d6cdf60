# Encryption on disks, in S3 and between nodes; IMDSv2; security groups.

resource "aws_emr_security_configuration" "this" {
  name = var.name
  configuration = jsonencode({
    EncryptionConfiguration = {
      EnableAtRestEncryption    = true
      EnableInTransitEncryption = true
      AtRestEncryptionConfiguration = {
        S3EncryptionConfiguration = {
          EncryptionMode = "SSE-KMS"
          AwsKmsKey      = var.kms_key_arn
        }
        LocalDiskEncryptionConfiguration = {
          EncryptionKeyProviderType = "AwsKms"
          AwsKmsKey                 = var.kms_key_arn
          EnableEbsEncryption       = true
        }
      }
      # `make package` creates the certificate; its key is only in the bucket, never in Terraform's state.
      InTransitEncryptionConfiguration = {
        TLSCertificateConfiguration = {
          CertificateProviderType = "PEM"
          S3Object                = "s3://${var.buckets["artefacts"].id}/${var.release.certificates}"
        }
      }
    }
    InstanceMetadataServiceConfiguration = {
      MinimumInstanceMetadataServiceVersion = 2
      HttpPutResponseHopLimit               = 1
    }
  })
}

resource "aws_security_group" "this" {
  # checkov:skip=CKV2_AWS_5: the cluster's ec2_attributes use all three; checkov does not check there.
  for_each = {
    primary = "EMR primary node"
    worker  = "EMR core and task nodes"
    service = "EMR's own access to nodes in private subnets"
  }
  name                   = "${var.name}-emr-${each.key}"
  description            = each.value
  vpc_id                 = var.vpc_id
  revoke_rules_on_delete = true # EMR adds rules of its own, which would hold the groups back
  tags                   = merge(local.emr_tag, { Name = "${var.name}-emr-${each.key}" })
}

# EMR requires these two ports between its service group and nodes in private subnets.
resource "aws_vpc_security_group_ingress_rule" "service" {
  security_group_id            = aws_security_group.this["service"].id
  description                  = "The primary node reports to EMR"
  referenced_security_group_id = aws_security_group.this["primary"].id
  ip_protocol                  = "tcp"
  from_port                    = 9443
  to_port                      = 9443
  tags                         = { Name = "${var.name}-emr-service-in" }
}

resource "aws_vpc_security_group_egress_rule" "service" {
  for_each                     = toset(["primary", "worker"])
  security_group_id            = aws_security_group.this["service"].id
  description                  = "EMR directs the ${each.key} nodes"
  referenced_security_group_id = aws_security_group.this[each.key].id
  ip_protocol                  = "tcp"
  from_port                    = 8443
  to_port                      = 8443
  tags                         = { Name = "${var.name}-emr-service-out-${each.key}" }
}

locals {
  # Traffic among the nodes: EMR adds the ingress rules, this adds the egress rules.
  among = {
    for pair in setproduct(["primary", "worker"], ["primary", "worker"]) : join("-to-", pair) => { from = pair[0], to = pair[1] }
  }
}

resource "aws_vpc_security_group_egress_rule" "among" {
  for_each                     = local.among
  security_group_id            = aws_security_group.this[each.value.from].id
  description                  = "Spark, YARN and HDFS: ${each.value.from} to ${each.value.to}"
  referenced_security_group_id = aws_security_group.this[each.value.to].id
  ip_protocol                  = "-1"
  tags                         = { Name = "${var.name}-emr-${each.key}" }
}

resource "aws_vpc_security_group_egress_rule" "report" {
  security_group_id            = aws_security_group.this["primary"].id
  description                  = "The primary node reports to EMR"
  referenced_security_group_id = aws_security_group.this["service"].id
  ip_protocol                  = "tcp"
  from_port                    = 9443
  to_port                      = 9443
  tags                         = { Name = "${var.name}-emr-report" }
}

resource "aws_vpc_security_group_egress_rule" "https" {
  for_each          = toset(["primary", "worker"])
  security_group_id = aws_security_group.this[each.key].id
  description       = "HTTPS to any address, for AWS's APIs"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  tags              = { Name = "${var.name}-emr-${each.key}-https" }
}
