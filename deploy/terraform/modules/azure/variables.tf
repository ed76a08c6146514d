variable "resource_group_name" {
  description = "Resource group, which exists, for the account and the identities."
  type        = string
  validation {
    condition     = can(regex("^[A-Za-z0-9_.()-]{1,89}[A-Za-z0-9_()-]$", var.resource_group_name))
    error_message = "resource_group_name: not the name of a resource group."
  }
}

variable "location" {
  description = "Azure region of the account."
  type        = string
  default     = "eastus2"
  validation {
    condition     = can(regex("^[a-z0-9]+$", var.location))
    error_message = "location: want a region's short name, such as eastus2."
  }
}

variable "prefix" {
  description = "What the names of roles and identities begin with."
  type        = string
  default     = "twinreel"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}$", var.prefix))
    error_message = "prefix: want 2 to 21 of a-z, 0-9 and hyphens, beginning with a letter."
  }
}

variable "account" {
  description = "Name of the storage account: the backup tier."
  type        = string
  validation {
    condition     = can(regex("^[a-z0-9]{3,24}$", var.account))
    error_message = "account: want 3 to 24 of a-z and 0-9."
  }
}

variable "container" {
  description = "Name of the container."
  type        = string
  default     = "recordings"
  validation {
    condition     = can(regex("^[a-z0-9](-?[a-z0-9])*$", var.container)) && length(var.container) >= 3 && length(var.container) <= 63
    error_message = "container: want 3 to 63 of a-z, 0-9 and single hyphens."
  }
}

variable "replication" {
  description = "How the account keeps its bytes: over zones (ZRS), or besides in a second region (GZRS, RAGZRS). A container with locked retention cannot be failed over by you."
  type        = string
  default     = "ZRS"
  validation {
    condition     = contains(["ZRS", "GZRS", "RAGZRS"], var.replication)
    error_message = "replication: want ZRS, GZRS or RAGZRS. LRS and GRS lose what is written when one zone is lost."
  }
}

variable "access_tier" {
  description = "Tier of the account: Hot, Cool or Cold. From Archive nothing can be read at once."
  type        = string
  default     = "Cool"
  validation {
    condition     = contains(["Hot", "Cool", "Cold"], var.access_tier)
    error_message = "access_tier: want Hot, Cool or Cold."
  }
}

variable "retention_days" {
  description = "Days for which every version is locked: the same number as primary's."
  type        = number
  validation {
    condition     = var.retention_days >= 1 && var.retention_days <= 146000 && floor(var.retention_days) == var.retention_days
    error_message = "retention_days: want a whole number from 1 to 146000."
  }
}

variable "retention_locked" {
  description = "Lock the retention, for ever: from then on it can be made longer, and never shorter, by nobody. Azure takes a new account with false only: apply once with false and without writers, then with true."
  type        = bool
}

variable "public_network" {
  description = "The account answers from the internet (with credentials, by TLS). false: from private endpoints only."
  type        = bool
  default     = true
}

variable "customer_key" {
  description = "A key of your own (Key Vault, its versionless ID, so that it rotates) and an identity that may use it; null: Microsoft's keys. Whoever can delete that key can delete every copy: turn on the vault's purge protection."
  type = object({
    key_vault_key_id = string
    identity_id      = string
  })
  default  = null
  nullable = true
  validation {
    condition     = var.customer_key == null ? true : can(regex("^https://[^/]+/keys/[^/]+$", var.customer_key.key_vault_key_id))
    error_message = "customer_key: want the key's versionless ID, https://VAULT.vault.azure.net/keys/NAME: with a version in it the key would never rotate."
  }
}

variable "writers" {
  description = "Region to who is worker-backup there: the service account of a cluster (its issuer and subject: an identity is made for it), or an identity that exists. All share the one container."
  type = map(object({
    issuer       = optional(string)
    subject      = optional(string)
    principal_id = optional(string)
  }))
  default = {}
  validation {
    condition     = alltrue([for name in keys(var.writers) : can(regex("^[a-z0-9-]{1,20}$", name))])
    error_message = "writers: a region's name is 1 to 20 of a-z, 0-9 and hyphens."
  }
  validation {
    condition     = alltrue([for who in values(var.writers) : (who.issuer != null) == (who.subject != null) && (who.issuer != null) != (who.principal_id != null)])
    error_message = "writers: want either issuer with subject, or principal_id."
  }
}

variable "readers" {
  description = "Region to who is the reconciler there, as in writers."
  type = map(object({
    issuer       = optional(string)
    subject      = optional(string)
    principal_id = optional(string)
  }))
  default = {}
  validation {
    condition     = alltrue([for name in keys(var.readers) : can(regex("^[a-z0-9-]{1,20}$", name))])
    error_message = "readers: a region's name is 1 to 20 of a-z, 0-9 and hyphens."
  }
  validation {
    condition     = alltrue([for who in values(var.readers) : (who.issuer != null) == (who.subject != null) && (who.issuer != null) != (who.principal_id != null)])
    error_message = "readers: want either issuer with subject, or principal_id."
  }
}

variable "break_glass_principal_ids" {
  description = "Object IDs of the people or groups who may delete what retention no longer holds. Make their assignments eligible, not standing, where you have Privileged Identity Management."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for id in var.break_glass_principal_ids : can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", id))])
    error_message = "break_glass_principal_ids: want object IDs."
  }
}

variable "tags" {
  description = "Tags of all that is made."
  type        = map(string)
  default     = {}
}
