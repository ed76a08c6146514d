variable "name" {
  description = "The region, as it is called in the maps below."
  type        = string
  validation {
    condition     = can(regex("^[a-z0-9-]{1,20}$", var.name))
    error_message = "name: want 1 to 20 of a-z, 0-9 and hyphens."
  }
}

variable "s3" {
  description = "The outputs of the module aws."
  type = object({
    environment      = map(string)
    origin           = string
    writer_role_arns = map(string)
    reader_role_arns = map(string)
  })
  validation {
    condition     = contains(keys(var.s3.environment), "TWINREEL_S3_BUCKET")
    error_message = "s3: want the outputs of the module aws."
  }
}

variable "azure" {
  description = "The outputs of the module azure."
  type = object({
    environment       = map(string)
    origin            = string
    writer_client_ids = map(string)
    reader_client_ids = map(string)
  })
  validation {
    condition     = contains(keys(var.azure.environment), "TWINREEL_AZURE_SERVICE_URL")
    error_message = "azure: want the outputs of the module azure."
  }
}

variable "retention_days" {
  description = "Days after which the reconciler calls a recording that is gone from primary expired, not missing."
  type        = number
  validation {
    condition     = var.retention_days >= 1
    error_message = "retention_days: want at least 1."
  }
}

variable "s3_endpoint" {
  description = "Private address of S3 in this region, where it has one; null: AWS's own."
  type        = string
  default     = null
  nullable    = true
  validation {
    condition     = var.s3_endpoint == null ? true : can(regex("^https://", var.s3_endpoint))
    error_message = "s3_endpoint: want https://…"
  }
}
