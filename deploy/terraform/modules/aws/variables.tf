variable "account_id" {
  description = "AWS account that owns the bucket and the key."
  type        = string
  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id is not an AWS account: want twelve digits."
  }
}

variable "partition" {
  description = "AWS partition of all names: aws, aws-us-gov or aws-cn."
  type        = string
  default     = "aws"
  validation {
    condition     = contains(["aws", "aws-us-gov", "aws-cn"], var.partition)
    error_message = "partition: want aws, aws-us-gov or aws-cn."
  }
}

variable "region" {
  description = "Region of the bucket and the key. The programs may talk to S3 in this region only."
  type        = string
  default     = "us-east-1"
  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region: want the name of an AWS region, such as us-east-1."
  }
}

variable "prefix" {
  description = "What the names of roles and of the key's alias begin with."
  type        = string
  default     = "twinreel"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}$", var.prefix))
    error_message = "prefix: want 2 to 21 of a-z, 0-9 and hyphens, beginning with a letter."
  }
}

variable "bucket" {
  description = "Name of the bucket: the primary tier."
  type        = string
  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket: want 3 to 63 of a-z, 0-9 and hyphens. A dot would break TLS for the bucket's own host name."
  }
}

variable "retention_mode" {
  description = "GOVERNANCE: the break-glass role can delete before the end. COMPLIANCE: nobody can, not even AWS for you."
  type        = string
  default     = "GOVERNANCE"
  validation {
    condition     = contains(["GOVERNANCE", "COMPLIANCE"], var.retention_mode)
    error_message = "retention_mode: want GOVERNANCE or COMPLIANCE."
  }
}

variable "retention_days" {
  description = "Days for which every object is locked, by the bucket's default."
  type        = number
  validation {
    condition     = var.retention_days >= 1 && var.retention_days <= 36500 && floor(var.retention_days) == var.retention_days
    error_message = "retention_days: want a whole number from 1 to 36500."
  }
}

variable "lock_each_object" {
  description = "The programs lock each object themselves (TWINREEL_S3_OBJECT_LOCK_MODE), besides the bucket's default. It needs one right more, so leave it off unless an auditor wants the lock in each request."
  type        = bool
  default     = false
}

variable "abort_uploads_after_days" {
  description = "Days after which an upload that was never committed is thrown away."
  type        = number
  default     = 7
  validation {
    condition     = var.abort_uploads_after_days >= 2 && var.abort_uploads_after_days <= 30
    error_message = "abort_uploads_after_days: want 2 to 30. A large recording may be on its way for hours, and wait for a store for a day."
  }
}

variable "storage_classes" {
  description = "Storage class to the days after which recordings move there. Only such from which an object is read at once: repair, scrub and prove read at any time."
  type        = map(number)
  default     = {}
  validation {
    condition     = alltrue([for class in keys(var.storage_classes) : contains(["STANDARD_IA", "INTELLIGENT_TIERING", "GLACIER_IR"], class)])
    error_message = "storage_classes: want STANDARD_IA, INTELLIGENT_TIERING or GLACIER_IR. From GLACIER and DEEP_ARCHIVE nothing can be read at once, and ONEZONE_IA is in one zone."
  }
  validation {
    condition     = alltrue([for days in values(var.storage_classes) : days >= 30])
    error_message = "storage_classes: nothing moves before 30 days."
  }
}

variable "expire_after_days" {
  description = "Days after which recordings are removed from primary; null: never. Not before TWINREEL_RETENTION_DAYS, or the reconciler calls them missing."
  type        = number
  default     = null
  nullable    = true
  validation {
    condition     = var.expire_after_days == null ? true : var.expire_after_days >= var.retention_days
    error_message = "expire_after_days is less than retention_days: recordings would be removed that are to be kept."
  }
}

variable "writers" {
  description = "Region to who is worker-primary there: the service account of a cluster (by its OIDC provider), or principals of this account. All share the one bucket."
  type = map(object({
    oidc_provider_arn = optional(string)
    subject           = optional(string)
    principal_arns    = optional(list(string), [])
  }))
  default = {}
  validation {
    condition     = alltrue([for name in keys(var.writers) : can(regex("^[a-z0-9-]{1,20}$", name))])
    error_message = "writers: a region's name is 1 to 20 of a-z, 0-9 and hyphens."
  }
  validation {
    condition = alltrue([for who in values(var.writers) :
      (who.oidc_provider_arn != null) == (who.subject != null) && (who.oidc_provider_arn != null) != (length(who.principal_arns) > 0)
    ])
    error_message = "writers: want either oidc_provider_arn with subject, or principal_arns."
  }
  validation {
    condition     = alltrue([for who in values(var.writers) : alltrue([for arn in who.principal_arns : !strcontains(arn, "*")])])
    error_message = "writers: a principal with * is everybody."
  }
  validation {
    condition     = alltrue([for who in values(var.writers) : who.subject == null ? true : !strcontains(who.subject, "*")])
    error_message = "writers: a subject with * is every service account."
  }
}

variable "readers" {
  description = "Region to who is the reconciler there, as in writers."
  type = map(object({
    oidc_provider_arn = optional(string)
    subject           = optional(string)
    principal_arns    = optional(list(string), [])
  }))
  default = {}
  validation {
    condition     = alltrue([for name in keys(var.readers) : can(regex("^[a-z0-9-]{1,20}$", name))])
    error_message = "readers: a region's name is 1 to 20 of a-z, 0-9 and hyphens."
  }
  validation {
    condition = alltrue([for who in values(var.readers) :
      (who.oidc_provider_arn != null) == (who.subject != null) && (who.oidc_provider_arn != null) != (length(who.principal_arns) > 0)
    ])
    error_message = "readers: want either oidc_provider_arn with subject, or principal_arns."
  }
  validation {
    condition     = alltrue([for who in values(var.readers) : alltrue([for arn in who.principal_arns : !strcontains(arn, "*")])])
    error_message = "readers: a principal with * is everybody."
  }
  validation {
    condition     = alltrue([for who in values(var.readers) : who.subject == null ? true : !strcontains(who.subject, "*")])
    error_message = "readers: a subject with * is every service account."
  }
}

variable "break_glass_arns" {
  description = "People (IAM users or roles) who may take the break-glass role, with a second factor: it alone can delete."
  type        = list(string)
  validation {
    condition     = length(var.break_glass_arns) > 0 && alltrue([for arn in var.break_glass_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:(user|role)/[^*]+$", arn))])
    error_message = "break_glass_arns: want at least one ARN of a user or role, without *."
  }
}

variable "administrator_arns" {
  description = "Who runs terraform: may change the bucket's settings and the key's policy, and can delete nothing that is stored. The ARN of the role itself, not of a session."
  type        = list(string)
  validation {
    condition     = length(var.administrator_arns) > 0 && alltrue([for arn in var.administrator_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:(user|role)/[^*]+$", arn))])
    error_message = "administrator_arns: want at least one ARN of a user or role, without *. With none, the first apply would lock everybody out of the settings."
  }
}

variable "tags" {
  description = "Tags of all that is made."
  type        = map(string)
  default     = {}
}
