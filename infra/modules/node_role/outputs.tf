output "role_arn" {
  description = "The role."
  value       = aws_iam_role.this.arn
}

output "profile_arn" {
  description = "Instance profile; depends on the role's policies, so that instances start with them attached."
  value       = aws_iam_instance_profile.this.arn

  depends_on = [aws_iam_role_policy.this]
}

output "profile_name" {
  description = "Name of the instance profile."
  value       = aws_iam_instance_profile.this.name

  depends_on = [aws_iam_role_policy.this]
}
