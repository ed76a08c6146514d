# The primary tier: one bucket, and the key that everything in it is encrypted by.

resource "aws_kms_key" "recordings" {
  region                  = var.region
  description             = "Recordings in ${var.bucket}"
  enable_key_rotation     = true
  rotation_period_in_days = 365
  deletion_window_in_days = 30
  tags                    = var.tags

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_kms_key_policy" "recordings" {
  region = var.region
  key_id = aws_kms_key.recordings.key_id
  policy = local.key_policy

  # Of the roles that it names none may be missing, or KMS refuses it.
  depends_on = [aws_iam_role.program, aws_iam_role.break_glass]
}

resource "aws_kms_alias" "recordings" {
  region        = var.region
  name          = "alias/${var.prefix}-${var.bucket}"
  target_key_id = aws_kms_key.recordings.key_id
}

resource "aws_s3_bucket" "recordings" {
  region              = var.region
  bucket              = var.bucket
  object_lock_enabled = true
  force_destroy       = false
  tags                = var.tags

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "recordings" {
  region = var.region
  bucket = aws_s3_bucket.recordings.bucket

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "recordings" {
  region = var.region
  bucket = aws_s3_bucket.recordings.bucket

  rule {
    bucket_key_enabled       = true
    blocked_encryption_types = ["SSE-C"]

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.recordings.arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "recordings" {
  region                  = var.region
  bucket                  = aws_s3_bucket.recordings.bucket
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# No ACLs: whatever is stored is the bucket owner's, and only policies say who may do what.
resource "aws_s3_bucket_ownership_controls" "recordings" {
  region = var.region
  bucket = aws_s3_bucket.recordings.bucket

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_object_lock_configuration" "recordings" {
  region = var.region
  bucket = aws_s3_bucket.recordings.bucket

  rule {
    default_retention {
      mode = var.retention_mode
      days = var.retention_days
    }
  }

  depends_on = [aws_s3_bucket_versioning.recordings]
}

# No rule hangs on a tag: the writer may set tags, and would choose by them what is removed.
resource "aws_s3_bucket_lifecycle_configuration" "recordings" {
  region = var.region
  bucket = aws_s3_bucket.recordings.bucket

  rule {
    id     = "abort-uploads"
    status = "Enabled"

    filter {
      prefix = ""
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = var.abort_uploads_after_days
    }
  }

  dynamic "rule" {
    for_each = length(var.storage_classes) + (var.expire_after_days == null ? 0 : 1) > 0 ? ["recordings/"] : []
    content {
      id     = "recordings"
      status = "Enabled"

      filter {
        prefix = rule.value
      }

      dynamic "transition" {
        for_each = var.storage_classes
        content {
          storage_class = transition.key
          days          = transition.value
        }
      }

      dynamic "expiration" {
        for_each = var.expire_after_days == null ? [] : [var.expire_after_days]
        content {
          days = expiration.value
        }
      }
    }
  }

  depends_on = [aws_s3_bucket_versioning.recordings]
}

# Last: from here on only break-glass and administrators change anything.
resource "aws_s3_bucket_policy" "recordings" {
  region = var.region
  bucket = aws_s3_bucket.recordings.bucket
  policy = local.bucket_policy

  lifecycle {
    precondition {
      condition     = length(var.writers) > 0 && length(var.readers) > 0
      error_message = "Name at least one writer and one reader: an empty list in a denial would deny nobody."
    }
  }

  depends_on = [
    aws_s3_bucket_public_access_block.recordings,
    aws_s3_bucket_ownership_controls.recordings,
    aws_s3_bucket_object_lock_configuration.recordings,
    aws_s3_bucket_lifecycle_configuration.recordings,
    aws_s3_bucket_server_side_encryption_configuration.recordings,
  ]
}
