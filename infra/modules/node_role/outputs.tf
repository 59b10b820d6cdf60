output "role_arn" {
  description = "The role."
  value       = aws_iam_role.this.arn
}

output "profile_arn" {
  description = "The instance profile; who starts instances with it finds the role's rights in place."
  value       = aws_iam_instance_profile.this.arn

  depends_on = [aws_iam_role_policy.this]
}

output "profile_name" {
  description = "The same profile's name."
  value       = aws_iam_instance_profile.this.name

  depends_on = [aws_iam_role_policy.this]
}
