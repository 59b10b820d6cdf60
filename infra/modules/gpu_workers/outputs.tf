output "group" {
  description = "The Auto Scaling group."
  value       = aws_autoscaling_group.this.name
}

output "gpus" {
  description = "GPUs of all workers, which is how many ranks there are."
  value       = local.gpus * var.settings.workers
}
