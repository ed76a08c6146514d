package terraform_test

import (
	"strings"
	"testing"
)

// given deploy/terraform with one thing broken, when it is planned and judged, then that is what is complained of.
func TestWhatIsBrokenIsNoticed(t *testing.T) {
	tree, tf := open(t)
	whole := planned(t, tree, tf)
	recorded, err := servers(t).Record(t.Context(), whole, encrypted(t, whole))
	if err != nil {
		t.Fatal(err)
	}
	const (
		policies, bucket, roles     = "modules/aws/policies.tf", "modules/aws/bucket.tf", "modules/aws/roles.tf"
		account, azureRoles, dns    = "modules/azure/account.tf", "modules/azure/roles.tf", "modules/dns/main.tf"
		variables, main, awsOutputs = "modules/aws/variables.tf", "production/main.tf", "modules/aws/outputs.tf"
	)
	for _, c := range []struct{ name, file, old, replacement, says string }{
		// what the bucket's policy denies
		{"deletion is denied to nobody", policies, `NotAction = ["s3:Get*", "s3:List*", "s3:PutObject", "s3:PutObjectTagging", "s3:AbortMultipartUpload", "s3:PutObjectRetention"]`, `NotAction = ["s3:*"]`, `"delete a recording" by administrator: allowed`},
		{"one more may delete", policies, `but_break_glass    = { "aws:PrincipalArn" = [local.break_glass_arn] }`, `but_break_glass    = { "aws:PrincipalArn" = concat([local.break_glass_arn], var.administrator_arns) }`, `"delete a version" by administrator: allowed`},
		{"writers may delete", policies, `but_break_glass    = { "aws:PrincipalArn" = [local.break_glass_arn] }`, `but_break_glass    = { "aws:PrincipalArn" = ["*"] }`, `"delete a recording" by anybody else: allowed`},
		{"overwriting is denied to nobody", policies, `Null = { "s3:if-none-match" = "true" }`, `Null = { "s3:if-none-match" = "false" }`, `"overwrite a recording" by writer: allowed`},
		{"If-Match will do as well", policies, `Null = { "s3:if-none-match" = "true" }`, `Null = { "s3:if-none-match" = "true", "s3:if-match" = "true" }`, `"overwrite one whose ETag is known" by writer: allowed`},
		{"uploads in parts are forgotten", policies, `Bool = { "s3:ObjectCreationOperation" = "true" }`, ``, `"store a recording in parts, and tag it after" by writer: denied by OnlyWhatIsNotThere`},
		{"only parts are conditional", policies, `Bool = { "s3:ObjectCreationOperation" = "true" }`, `Bool = { "s3:ObjectCreationOperation" = "false" }`, `"commit an upload over one" by writer: allowed`},
		{"plain HTTP", policies, `Bool = { "aws:SecureTransport" = "false" }`, `Bool = { "aws:SecureTransport" = "no" }`, `"add below recordings/ by plain HTTP" by writer: allowed`},
		{"old TLS", policies, `"s3:TlsVersion" = "1.2"`, `"s3:TlsVersion" = "1.0"`, `"add below recordings/ by TLS 1.1" by writer: allowed`},
		{"S3's own key", policies, `StringNotEquals = { "s3:x-amz-server-side-encryption" = "aws:kms" }`, `StringNotEquals = { "s3:x-amz-server-side-encryption" = ["aws:kms", "AES256"] }`, `"store encrypted by S3's own key" by writer: allowed`},
		{"another key", policies, `StringNotEquals = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = aws_kms_key.recordings.arn }`, `StringLike = { "s3:x-amz-server-side-encryption-aws-kms-key-id" = "-" }`, `"store under another key" by writer: allowed`},
		{"a customer's key", policies, `Null = { "s3:x-amz-server-side-encryption-customer-algorithm" = "false" }`, `Null = { "s3:x-amz-server-side-encryption-customer-algorithm" = "-" }`, `"store under a key of one's own (SSE-C)" by writer: allowed`},
		{"anybody may add recordings", policies, `Condition = { ArnNotEquals = local.but_writers }`, `Condition = { ArnEquals = local.but_break_glass }`, `"add below recordings/" by anybody else: nothing denies it`},
		{"anybody may write the log", policies, `Condition = { ArnNotEquals = local.but_readers }`, `Condition = { ArnEquals = local.but_break_glass }`, `"add below audit/" by administrator: nothing denies it`},
		{"anything may be stored", policies, `NotResource = concat(local.ours, [local.sealed])`, `NotResource = "${local.bucket_arn}/*"`, `"add elsewhere" by administrator: nothing denies it`},
		{"retention may be shortened", policies, `var.lock_each_object ? concat(local.writer_arns, local.reader_arns) : []`, `var.administrator_arns`, `"shorten retention" by administrator: allowed`},
		{"anybody may change the settings", policies, `NotAction = ["s3:Get*", "s3:List*"]`, `NotAction = ["s3:Get*", "s3:List*", "s3:PutBucketVersioning"]`, `"suspend versions" by anybody else: allowed`},
		{"the bucket can be deleted", policies, `Action    = "s3:DeleteBucket"`, `Action    = "s3:DeleteBucketWebsite"`, `"delete the bucket" by administrator: allowed`},
		{"the key can be deleted", policies, `"kms:ScheduleKeyDeletion",`, ``, `"delete the key" by administrator: nothing denies it`},
		{"the account may use the key", policies, `"kms:CancelKeyDeletion",`, `"kms:*",`, `"read a recording" by anybody else: allowed`},
		{"anybody may change the key's policy", policies, `Action    = "kms:PutKeyPolicy"`, `Action    = "kms:GetKeyPolicy"`, `"change the key's policy" by anybody else: allowed`},
		// what the programs are allowed
		{"no HEAD of an absent key", policies, `Action    = ["s3:ListBucket", "s3:ListBucketMultipartUploads"]`, `Action    = ["s3:ListBucketMultipartUploads"]`, `"look for one that is not there" by writer: not allowed`},
		{"a condition on a prefix", policies, `Resource  = local.bucket_arn
        Condition = local.in_region
      },
      local.with_key,
    ]
  })

  reader_policy`, `Resource  = local.bucket_arn
        Condition = merge(local.in_region, { StringLike = { "s3:prefix" = "recordings/*" } })
      },
      local.with_key,
    ]
  })

  reader_policy`, `"look for one that is not there" by writer: not allowed`},
		{"no decryption", policies, `Action    = ["kms:GenerateDataKey", "kms:Decrypt"]`, `Action    = ["kms:GenerateDataKey"]`, `"store a recording in parts, and tag it after" by writer`},
		{"no data key", policies, `Action    = ["kms:GenerateDataKey", "kms:Decrypt"]`, `Action    = ["kms:Decrypt"]`, `"store a small recording, with tags" by writer`},
		{"no abort", policies, `          "s3:AbortMultipartUpload",
          "s3:ListMultipartUploadParts",`, `          "s3:ListMultipartUploadParts",`, `"give an upload up" by writer: not allowed`},
		{"no tags", policies, `          "s3:PutObjectTagging",
          "s3:GetObject",`, `          "s3:GetObject",`, `"store a small recording, with tags" by writer: not allowed`},
		{"no versions for the reader", policies, `          "s3:GetObjectVersion",
`, ``, `"look at one version" by reader: not allowed`},
		{"no log", policies, `Resource  = local.sealed
        Condition = local.in_region`, `Resource  = "${local.bucket_arn}/log/*"
        Condition = local.in_region`, `"seal the log" by reader: not allowed`},
		{"a writer of everything", policies, `          "s3:PutObject",
          "s3:PutObjectTagging",`, `          "s3:*",`, `allows more than is named: [s3:*`},
		{"a writer that reads the log", policies, `ours       = [for folder in ["recordings", "metadata", "probe"]`, `ours       = [for folder in ["recordings", "metadata", "probe", "audit"]`, `"read the log" by writer: allowed`},
		{"a reader that adds recordings", policies, `Resource  = local.sealed
        Condition = local.in_region`, `Resource  = concat(local.ours, [local.sealed])
        Condition = local.in_region`, `"add below recordings/" by reader: allowed by its own policy`},
		{"another region", policies, `in_region = { StringEquals = { "aws:RequestedRegion" = var.region } }`, `in_region = { StringEquals = { "aws:RequestedRegion" = [var.region, "eu-west-1"] } }`, `"add below recordings/ by another region" by writer: allowed`},
		{"everybody's service account", roles, `"${local.issuers[name]}:sub" = who.subject`, `"${local.issuers[name]}:aud" = "sts.amazonaws.com"`, `trusts more than one service account`},
		// the bucket
		{"no versions", bucket, `status = "Enabled"
  }
}`, `status = "Suspended"
  }
}`, "versions are Suspended"},
		{"no object lock", bucket, `object_lock_enabled = true`, `object_lock_enabled = false`, "object lock false"},
		{"another retention", bucket, `days = var.retention_days`, `days = 30`, "30 days in S3 and 2555 in Azure"},
		{"S3's key by default", bucket, `sse_algorithm     = "aws:kms"`, `sse_algorithm     = "AES256"`, "encrypted by AES256"},
		{"no rotation", bucket, `enable_key_rotation     = true`, `enable_key_rotation     = false`, "rotation false"},
		{"a key that is gone in a week", bucket, `deletion_window_in_days = 30`, `deletion_window_in_days = 7`, "deleted after 7 days"},
		{"public access", bucket, `restrict_public_buckets = true`, `restrict_public_buckets = false`, "public access is not blocked: restrict_public_buckets"},
		{"ACLs", bucket, `BucketOwnerEnforced`, `ObjectWriter`, "ownership is ObjectWriter"},
		{"open uploads stay", bucket, `    abort_incomplete_multipart_upload {
      days_after_initiation = var.abort_uploads_after_days
    }
`, `    expiration {
      days = 4000
    }
`, "throws uploads away"},
		{"a rule on a tag", bucket, `      prefix = ""
`, `      tag {
        key   = "queue"
        value = "billing"
      }
`, "hangs on a tag"},
		{"cold storage", bucket, `    abort_incomplete_multipart_upload {`, `    transition {
      storage_class = "GLACIER"
      days          = 90
    }

    abort_incomplete_multipart_upload {`, "moves recordings to GLACIER"},
		{"an early end", bucket, `    abort_incomplete_multipart_upload {`, `    expiration {
      days = 365
    }

    abort_incomplete_multipart_upload {`, "removes recordings after 365 days"},
		{"versions that are tidied up", bucket, `    abort_incomplete_multipart_upload {`, `    noncurrent_version_expiration {
      noncurrent_days = 1
    }

    abort_incomplete_multipart_upload {`, "removes versions"},
		{"a bucket that goes with its objects", bucket, `force_destroy       = false`, `force_destroy       = true`, "force_destroy true"},
		{"a bucket that terraform may destroy", bucket, `prevent_destroy = true`, `prevent_destroy = false`, "terraform could destroy aws_s3_bucket.recordings"},
		// the storage account
		{"a hierarchical namespace", account, `is_hns_enabled = false`, `is_hns_enabled = true`, "hierarchical namespace"},
		{"no versions in Azure", account, `versioning_enabled = true`, `versioning_enabled = false`, "no versions"},
		{"another retention in Azure", account, `period_since_creation_in_days = var.retention_days`, `period_since_creation_in_days = 30`, "2555 days in S3 and 30 in Azure"},
		{"retention that can be taken back", account, `var.retention_locked ? "Locked" : "Unlocked"`, `"Unlocked"`, "there must be none before retention is locked"},
		{"and nobody minds", azureRoles, `condition     = azurerm_storage_account.recordings.immutability_policy[0].state == "Locked"`, `condition     = azurerm_storage_account.recordings.is_hns_enabled`, "there must be none before retention is locked"},
		{"account keys", account, `shared_access_key_enabled       = false`, `shared_access_key_enabled       = true`, "keys are taken"},
		{"plain HTTP in Azure", account, `https_traffic_only_enabled       = true`, `https_traffic_only_enabled       = false`, "plain HTTP"},
		{"old TLS in Azure", account, `"TLS1_2"`, `"TLS1_0"`, "TLS before 1.2"},
		{"public blobs", account, `allow_nested_items_to_be_public  = false`, `allow_nested_items_to_be_public  = true`, "made public"},
		{"a public container", account, `container_access_type = "private"`, `container_access_type = "blob"`, "open to blob"},
		{"deletion by itself", account, `# Also an owner`, `resource "azurerm_storage_management_policy" "tidy" {
  storage_account_id = azurerm_storage_account.recordings.id

  rule {
    name    = "tidy"
    enabled = true

    filters {
      blob_types = ["blockBlob"]
    }

    actions {
      base_blob {
        delete_after_days_since_creation_greater_than = 3000
      }
    }
  }
}

# Also an owner`, "nothing may remove or move anything in backup"},
		{"no lock on the account", account, `resource "azurerm_management_lock" "recordings"`, `resource "azurerm_management_lock" "another"`, "no lock keeps it"},
		// roles in Azure
		{"a writer that deletes", azureRoles, `      "${local.blobs}/add/action",
      "${local.blobs}/tags/write",`, `      "${local.blobs}/add/action",
      "${local.blobs}/delete",
      "${local.blobs}/tags/write",`, `"delete a recording" by writer: allowed`},
		{"a writer above retention", azureRoles, `      "${local.blobs}/add/action",
      "${local.blobs}/tags/write",`, `      "${local.blobs}/*",`, "allows more than is named"},
		{"a writer without blocks", azureRoles, `      "${local.blobs}/write",
`, ``, `"store a recording in blocks, with tags" by writer: not allowed`},
		{"a writer without tags", azureRoles, `      "${local.blobs}/tags/write",
`, ``, `"store a recording, with tags" by writer: not allowed`},
		{"a sealer that overwrites", azureRoles, `data_actions = ["${local.blobs}/add/action"]`, `data_actions = ["${local.blobs}/add/action", "${local.blobs}/write"]`, `"overwrite an entry of the log" by reader: allowed`},
		{"a sealer of everything", azureRoles, `condition          = local.sealing_only`, `condition          = null`, `"add below recordings/" by reader: allowed`},
		{"a writer of everything in Azure", azureRoles, `condition          = local.ours_only`, `condition          = null`, `"add below audit/" by writer: allowed`},
		{"no key for links", azureRoles, `      "Microsoft.Storage/storageAccounts/blobServices/generateUserDelegationKey/action",
`, ``, `"get a key to sign links with" by reader: not allowed`},
		{"a reader of the container alone", azureRoles, `resource "azurerm_role_assignment" "reader" {
  for_each           = var.readers
  scope              = azurerm_storage_account.recordings.id`, `resource "azurerm_role_assignment" "reader" {
  for_each           = var.readers
  scope              = azurerm_storage_container.recordings.id`, `"get a key to sign links with" by reader: not allowed`},
		{"a role of Azure's own", azureRoles, `role_definition_id = azurerm_role_definition.writer.role_definition_resource_id`, `role_definition_name = "Storage Blob Data Owner"`, "a role that is not defined here"},
		// names, text, and what terraform itself says
		{"health by TCP", dns, `type              = "HTTPS"`, `type              = "TCP"`, "asks TCP"},
		{"another path of health", dns, `resource_path     = "/readyz"`, `resource_path     = "/livez"`, "for /livez"},
		{"a record without health", dns, `  health_check_id = aws_route53_health_check.ingress[each.key].id
`, ``, "hangs on no health check"},
		{"an attribute that the provider has not", bucket, `rotation_period_in_days = 365`, `rotation_period = 365`, `An argument named "rotation_period" is not expected here`},
		{"a block that the provider has not", bucket, `default_retention {`, `retention {`, `Blocks of type "retention" are not expected here`},
		{"an attribute that is required", dns, `  type            = "CNAME"
`, ``, `The argument "type" is required`},
		{"a reference to nothing", main, `module.aws.bucket_arn`, `module.aws.bucket_name`, `does not have an attribute named "bucket_name"`},
		{"a variable that nobody declared", bucket, `days = var.retention_days`, `days = var.retention`, `An input variable with the name "retention" has not been declared`},
		{"a number for a word", bucket, `enable_key_rotation     = true`, `enable_key_rotation     = "often"`, "a bool is required"},
		{"a variable without a word", variables, `  description = "Name of the bucket: the primary tier."
`, ``, "the variable bucket has no description"},
		{"a variable of no use", variables, `variable "tags" {`, `variable "more_tags" {
  description = "Of no use."
  type        = string
  default     = ""
}

variable "tags" {`, "nothing uses the variable more_tags"},
		{"a setting that no program knows", awsOutputs, `TWINREEL_S3_SSE `, `TWINREEL_S3_SSES`, "it does not know TWINREEL_S3_SSES"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			broken, err := tree.With(c.file, c.old, c.replacement)
			if err != nil {
				t.Fatal(err)
			}
			var said []string
			note := func(errs ...error) {
				for _, err := range errs {
					if err != nil {
						said = append(said, err.Error())
					}
				}
			}
			note(broken.Check())
			p, err := tf.Plan(t.Context(), broken, t.TempDir())
			if note(err); err == nil {
				note(p.Rules()...)
				note(p.Judged(recorded)...)
				note(p.Alone(recorded)...)
				all, err := p.Environment()
				note(err)
				for _, programs := range all {
					for program, env := range programs {
						note(fits(t, program, env)...)
					}
				}
			}
			if all := strings.Join(said, "\n"); !strings.Contains(all, c.says) {
				t.Errorf("%q is not among what was said:\n%.3000s", c.says, all)
			}
		})
	}
}
