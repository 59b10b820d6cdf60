output "buckets" {
  description = "Each bucket's id and arn, by what it is for."
  value       = { for role, bucket in aws_s3_bucket.this : role => { id = bucket.id, arn = bucket.arn } }
}

output "kms_key_arn" {
  description = "The key that encrypts everything."
  value       = aws_kms_key.this.arn

  # Whoever puts an object needs the bucket as it shall be, not only the bucket.
  depends_on = [
    aws_s3_bucket_policy.this,
    aws_s3_bucket_server_side_encryption_configuration.this,
    aws_s3_bucket_versioning.this,
  ]
}
