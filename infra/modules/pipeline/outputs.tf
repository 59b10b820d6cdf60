output "machine_arn" {
  description = "State machine of a run."
  value       = aws_sfn_state_machine.run.arn
}

output "cleanup_arn" {
  description = "State machine that removes the resources of a stopped run."
  value       = aws_sfn_state_machine.cleanup.arn
}
