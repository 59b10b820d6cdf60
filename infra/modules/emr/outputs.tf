output "cluster_id" {
  description = "The cluster that stays; null unless interactive."
  value       = one(aws_emr_cluster.this[*].id)
}

output "code" {
  description = "Folder of the code on every node."
  value       = local.code
}

output "request" {
  description = "Request of Step Functions' createCluster, without a name."
  value       = local.request
}

output "role_arns" {
  description = "The roles that the creator of a cluster passes on: those of EMR and of the nodes."
  value       = [aws_iam_role.service.arn, module.node_role.role_arn]

  depends_on = [
    aws_iam_role_policy.service,
    aws_iam_role_policy_attachment.service,
    aws_vpc_security_group_egress_rule.among,
    aws_vpc_security_group_egress_rule.https,
    aws_vpc_security_group_egress_rule.report,
    aws_vpc_security_group_egress_rule.service,
    aws_vpc_security_group_ingress_rule.service,
  ]
}
