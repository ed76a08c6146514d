# What each identity may do. deploy/check/internal/terraform evaluates these very documents against the requests that the
# programs make, and writes POLICIES.md. An allow is in the identity's own policy; the bucket's policy only denies, so that
# whatever rights somebody gets elsewhere in the account, these denials stay.

locals {
  bucket_arn = "arn:${var.partition}:s3:::${var.bucket}"
  ours       = [for folder in ["recordings", "metadata", "probe"] : "${local.bucket_arn}/${folder}/*"]
  sealed     = "${local.bucket_arn}/audit/*"

  in_region = { StringEquals = { "aws:RequestedRegion" = var.region } }
  # Where the programs lock each object, S3 asks for this right with each creation.
  locking = var.lock_each_object ? ["s3:PutObjectRetention"] : []

  # To store under a KMS key takes a data key; to commit an upload in parts, and to read a checksum, it is decrypted again.
  with_key = {
    Sid       = "UseTheKeyThroughS3"
    Effect    = "Allow"
    Action    = ["kms:GenerateDataKey", "kms:Decrypt"]
    Resource  = aws_kms_key.recordings.arn
    Condition = { StringEquals = { "kms:ViaService" = "s3.${var.region}.amazonaws.com" } }
  }

  writer_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "AddAndLook"
        Effect = "Allow"
        Action = concat([
          "s3:PutObject",
          "s3:PutObjectTagging",
          "s3:GetObject",
          "s3:AbortMultipartUpload",
          "s3:ListMultipartUploadParts",
        ], local.locking)
        Resource  = local.ours
        Condition = local.in_region
      },
      {
        # No condition on a prefix: without ListBucket the HEAD of a key that is not there is answered 403 instead of 404.
        Sid       = "KnowWhatIsNotThere"
        Effect    = "Allow"
        Action    = ["s3:ListBucket", "s3:ListBucketMultipartUploads"]
        Resource  = local.bucket_arn
        Condition = local.in_region
      },
      local.with_key,
    ]
  })

  reader_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "LookAtEveryVersion"
        Effect = "Allow"
        Action = [
          "s3:GetObject",
          "s3:GetObjectVersion",
          "s3:GetObjectTagging",
          "s3:GetObjectVersionTagging",
        ]
        Resource  = "${local.bucket_arn}/*"
        Condition = local.in_region
      },
      {
        Sid    = "ListAndInspect"
        Effect = "Allow"
        Action = [
          "s3:ListBucket",
          "s3:ListBucketVersions",
          "s3:ListBucketMultipartUploads",
          "s3:GetBucketVersioning",
          "s3:GetBucketObjectLockConfiguration",
          "s3:GetEncryptionConfiguration",
          "s3:GetLifecycleConfiguration",
          "s3:GetBucketPublicAccessBlock",
          "s3:GetBucketPolicyStatus",
        ]
        Resource  = local.bucket_arn
        Condition = local.in_region
      },
      {
        Sid       = "SealTheLog"
        Effect    = "Allow"
        Action    = concat(["s3:PutObject"], local.locking)
        Resource  = local.sealed
        Condition = local.in_region
      },
      local.with_key,
    ]
  })

  break_glass_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "EndWhatIsStored"
        Effect = "Allow"
        Action = [
          "s3:GetObject*",
          "s3:DeleteObject",
          "s3:DeleteObjectVersion",
          "s3:DeleteObjectTagging",
          "s3:DeleteObjectVersionTagging",
          "s3:BypassGovernanceRetention",
          "s3:PutObjectRetention",
          "s3:PutObjectLegalHold",
        ]
        Resource = "${local.bucket_arn}/*"
      },
      {
        Sid    = "ChangeTheSettings"
        Effect = "Allow"
        Action = [
          "s3:ListBucket*",
          "s3:GetBucket*",
          "s3:GetEncryptionConfiguration",
          "s3:GetLifecycleConfiguration",
          "s3:PutBucketPolicy",
          "s3:PutBucketVersioning",
          "s3:PutBucketObjectLockConfiguration",
          "s3:PutLifecycleConfiguration",
        ]
        Resource = local.bucket_arn
      },
      local.with_key,
    ]
  })

  but_break_glass    = { "aws:PrincipalArn" = [local.break_glass_arn] }
  but_administrators = { "aws:PrincipalArn" = concat([local.break_glass_arn], var.administrator_arns) }
  but_writers        = { "aws:PrincipalArn" = local.writer_arns }
  but_readers        = { "aws:PrincipalArn" = local.reader_arns }

  # As often as the lock comes with the request. S3 counts whole days of what is left, so a day to either side is the same.
  retention_bounds = [for statement in [
    {
      Sid       = "KeepRetentionFromBeingShortened"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:PutObjectRetention"
      Resource  = "${local.bucket_arn}/*"
      Condition = {
        ArnNotEquals    = local.but_break_glass
        NumericLessThan = { "s3:object-lock-remaining-retention-days" = tostring(var.retention_days - 1) }
      }
    },
    {
      Sid       = "KeepRetentionFromBeingEndless"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:PutObjectRetention"
      Resource  = "${local.bucket_arn}/*"
      Condition = {
        ArnNotEquals       = local.but_break_glass
        NumericGreaterThan = { "s3:object-lock-remaining-retention-days" = tostring(var.retention_days + 1) }
      }
    },
    {
      Sid       = "KeepTheModeOfRetention"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:PutObjectRetention"
      Resource  = "${local.bucket_arn}/*"
      Condition = {
        ArnNotEquals    = local.but_break_glass
        StringNotEquals = { "s3:object-lock-mode" = var.retention_mode }
      }
    },
  ] : statement if var.lock_each_object]

  bucket_policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid       = "OnlyByTLS"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "OnlyByTLS12"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]
        Condition = { NumericLessThan = { "s3:TlsVersion" = "1.2" } }
      },
      {
        # What makes an object must be conditional on its absence: nothing is ever overwritten. Opening an upload and sending
        # its parts are s3:PutObject, too, but make no object and take no condition: of them ObjectCreationOperation is false.
        Sid       = "OnlyWhatIsNotThere"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${local.bucket_arn}/*"
        Condition = {
          Null = { "s3:if-none-match" = "true" }
          Bool = { "s3:ObjectCreationOperation" = "true" }
        }
      },
      {
        Sid       = "OnlyEncryptedByKMS"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${local.bucket_arn}/*"
        Condition = {
          Null            = { "s3:x-amz-server-side-encryption" = "false" } # without it the bucket's default holds
          StringNotEquals = { "s3:x-amz-server-side-encryption" = "aws:kms" }
        }
      },
      {
        Sid       = "OnlyByOurKey"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${local.bucket_arn}/*"
        Condition = {
          Null            = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = "false" }
          StringNotEquals = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = aws_kms_key.recordings.arn }
        }
      },
      {
        Sid       = "NeverByACustomersKey"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${local.bucket_arn}/*"
        Condition = { Null = { "s3:x-amz-server-side-encryption-customer-algorithm" = "false" } }
      },
      {
        Sid       = "OnlyWritersAdd"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:PutObject", "s3:PutObjectTagging", "s3:AbortMultipartUpload"]
        Resource  = local.ours
        Condition = { ArnNotEquals = local.but_writers }
      },
      {
        Sid       = "OnlyReadersSeal"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["s3:PutObject", "s3:PutObjectTagging", "s3:AbortMultipartUpload"]
        Resource  = local.sealed
        Condition = { ArnNotEquals = local.but_readers }
      },
      {
        Sid         = "NowhereElse"
        Effect      = "Deny"
        Principal   = "*"
        Action      = "s3:PutObject"
        NotResource = concat(local.ours, [local.sealed])
      },
      {
        # All that touches what is stored, also what AWS has yet to invent.
        Sid       = "KeepWhatIsStored"
        Effect    = "Deny"
        Principal = "*"
        NotAction = ["s3:Get*", "s3:List*", "s3:PutObject", "s3:PutObjectTagging", "s3:AbortMultipartUpload", "s3:PutObjectRetention"]
        Resource  = "${local.bucket_arn}/*"
        Condition = { ArnNotEquals = local.but_break_glass }
      },
      {
        Sid       = "KeepRetention"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObjectRetention"
        Resource  = "${local.bucket_arn}/*"
        Condition = { ArnNotEquals = {
          "aws:PrincipalArn" = concat([local.break_glass_arn], var.lock_each_object ? concat(local.writer_arns, local.reader_arns) : [])
        } }
      },
      {
        Sid       = "KeepTheSettings"
        Effect    = "Deny"
        Principal = "*"
        NotAction = ["s3:Get*", "s3:List*"]
        Resource  = local.bucket_arn
        Condition = { ArnNotEquals = local.but_administrators }
      },
      {
        Sid       = "KeepTheBucket"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:DeleteBucket"
        Resource  = local.bucket_arn
        Condition = { ArnNotEquals = local.but_break_glass }
      },
    ], local.retention_bounds)
  })

  key_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        # The account may manage the key, but not use it: rights to decrypt are given here alone, whatever IAM says.
        Sid       = "TheAccountManagesTheKey"
        Effect    = "Allow"
        Principal = { AWS = "arn:${var.partition}:iam::${var.account_id}:root" }
        Action = [
          "kms:CreateAlias",
          "kms:DeleteAlias",
          "kms:UpdateAlias",
          "kms:DescribeKey",
          "kms:EnableKey",
          "kms:EnableKeyRotation",
          "kms:Get*",
          "kms:List*",
          "kms:PutKeyPolicy",
          "kms:TagResource",
          "kms:UntagResource",
          "kms:UpdateKeyDescription",
          "kms:CancelKeyDeletion",
          "kms:RotateKeyOnDemand",
        ]
        Resource = "*"
      },
      {
        # Without the key every copy in primary is lost at once: this is a deletion.
        Sid       = "KeepTheKey"
        Effect    = "Deny"
        Principal = { AWS = "*" }
        Action = [
          "kms:ScheduleKeyDeletion",
          "kms:DisableKey",
          "kms:DisableKeyRotation",
          "kms:DeleteImportedKeyMaterial",
          "kms:CreateGrant",
        ]
        Resource  = "*"
        Condition = { ArnNotEquals = local.but_break_glass }
      },
      {
        Sid       = "KeepTheKeysPolicy"
        Effect    = "Deny"
        Principal = { AWS = "*" }
        Action    = "kms:PutKeyPolicy"
        Resource  = "*"
        Condition = { ArnNotEquals = local.but_administrators }
      },
      {
        Sid       = "TheProgramsUseTheKeyThroughS3"
        Effect    = "Allow"
        Principal = { AWS = concat([for name in sort(keys(local.identities)) : aws_iam_role.program[name].arn], [aws_iam_role.break_glass.arn]) }
        Action    = ["kms:GenerateDataKey", "kms:Decrypt"]
        Resource  = "*"
        Condition = { StringEquals = { "kms:ViaService" = "s3.${var.region}.amazonaws.com" } }
      },
    ]
  })
}
