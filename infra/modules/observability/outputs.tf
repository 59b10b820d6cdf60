output "topic_arn" {
  description = "Topic of the alarms, and of the notifications at the end of a run."
  value       = aws_sns_topic.alarms.arn
}
