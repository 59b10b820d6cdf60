output "machine_arn" {
  description = "State machine of a run."
  value       = aws_sfn_state_machine.run.arn
}

output "cleanup_arn" {
  description = "State machine that removes what a stopped run has left."
  value       = aws_sfn_state_machine.cleanup.arn
}
