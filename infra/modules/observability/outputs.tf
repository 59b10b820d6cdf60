output "topic_arn" {
  description = "Where alarms and budget notices go."
  value       = aws_sns_topic.alarms.arn
}

output "dashboard" {
  description = "The dashboard's name, null while there is nothing to show."
  value       = one(aws_cloudwatch_dashboard.this[*].dashboard_name)
}
