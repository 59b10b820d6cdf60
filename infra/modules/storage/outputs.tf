output "buckets" {
  description = "ID and ARN of each bucket, by purpose."
  value       = { for role, bucket in aws_s3_bucket.this : role => { id = bucket.id, arn = bucket.arn } }
}

output "kms_key_arn" {
  description = "KMS key that encrypts everything."
  value       = local.kms_key_arn

  # Writers must wait for the bucket's configuration, not only for the bucket.
  depends_on = [
    aws_s3_bucket_policy.this,
    aws_s3_bucket_server_side_encryption_configuration.this,
    aws_s3_bucket_versioning.this,
  ]
}
