output "cluster_id" {
  description = "The cluster."
  value       = aws_emr_cluster.this.id
}

output "code" {
  description = "Folder of the code on the primary node."
  value       = "${local.home}/code"
}
