output "launch_template_id" {
  description = "Template of the copying instance."
  value       = aws_launch_template.this.id
}

output "launch_template_arn" {
  description = "ARN of the template."
  value       = aws_launch_template.this.arn
}

output "name_tag" {
  description = "Tag Name of the copying instance."
  value       = local.node
}

output "role_arn" {
  description = "Role of the copying instance."
  value       = module.node_role.role_arn
}
