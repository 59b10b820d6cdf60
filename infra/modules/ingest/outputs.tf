output "instance_id" {
  description = "The ingest instance."
  value       = aws_instance.this.id
}

output "role" {
  description = "What the copy may do."
  value       = aws_iam_role.this.name
}
