output "instance_id" {
  description = "The ingest instance."
  value       = aws_instance.this.id
}
