output "group" {
  description = "The Auto Scaling group."
  value       = aws_autoscaling_group.this.name
}

output "gpus" {
  description = "GPUs of all workers, which is the number of ranks."
  value       = local.gpus * var.settings.workers
}
