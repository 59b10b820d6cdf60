output "group" {
  description = "The Auto Scaling group."
  value       = aws_autoscaling_group.this.name
}

output "workers" {
  description = "Workers while a stage runs."
  value       = var.settings.workers
}

output "group_arn" {
  description = "ARN of the Auto Scaling group."
  value       = aws_autoscaling_group.this.arn
}

output "ami_id" {
  description = "Image of the workers."
  value       = local.ami_id
}
