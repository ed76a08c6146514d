output "bucket" {
  description = "Name of the bucket."
  value       = aws_s3_bucket.recordings.bucket
}

output "bucket_arn" {
  description = "ARN of the bucket, for endpoints' policies."
  value       = local.bucket_arn
}

output "key_arn" {
  description = "ARN of the key that everything is encrypted by."
  value       = aws_kms_key.recordings.arn
}

output "writer_role_arns" {
  description = "Region to the role of worker-primary there."
  value       = { for name in keys(var.writers) : name => aws_iam_role.program["writer-${name}"].arn }
}

output "reader_role_arns" {
  description = "Region to the role of the reconciler there."
  value       = { for name in keys(var.readers) : name => aws_iam_role.program["reader-${name}"].arn }
}

output "break_glass_role_arn" {
  description = "The role that alone can delete."
  value       = aws_iam_role.break_glass.arn
}

output "origin" {
  description = "Scheme and host of the bucket, as copies from it are allowed."
  value       = "https://${var.bucket}.s3.${var.region}.amazonaws.com"
}

output "environment" {
  description = "The store's settings of worker-primary and the reconciler."
  value = merge({
    TWINREEL_S3_BUCKET         = aws_s3_bucket.recordings.bucket
    TWINREEL_S3_REGION         = var.region
    TWINREEL_S3_SSE            = "aws:kms"
    TWINREEL_S3_SSE_KMS_KEY_ID = aws_kms_key.recordings.arn
    }, var.lock_each_object ? {
    TWINREEL_S3_OBJECT_LOCK_MODE = var.retention_mode
    TWINREEL_S3_OBJECT_LOCK_DAYS = tostring(var.retention_days)
  } : {})
}
