variable "aws_account_id" {
  description = "AWS account of the primary tier."
  type        = string
  validation {
    condition     = can(regex("^[0-9]{12}$", var.aws_account_id))
    error_message = "aws_account_id: want twelve digits."
  }
}

variable "aws_region" {
  description = "Region of the bucket."
  type        = string
  default     = "us-east-1"
  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.aws_region))
    error_message = "aws_region: want the name of an AWS region."
  }
}

variable "aws_peer_region" {
  description = "Region of the second network, where one is peered."
  type        = string
  default     = null
  nullable    = true
  validation {
    condition     = var.aws_peer_region == null ? true : can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.aws_peer_region))
    error_message = "aws_peer_region: want the name of an AWS region."
  }
}

variable "azure_subscription_id" {
  description = "Azure subscription of the backup tier."
  type        = string
  validation {
    condition     = can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.azure_subscription_id))
    error_message = "azure_subscription_id: want the ID of a subscription."
  }
}

variable "azure_resource_group" {
  description = "Resource group of the backup tier, which exists."
  type        = string
  validation {
    condition     = length(var.azure_resource_group) > 0
    error_message = "azure_resource_group: want a name."
  }
}

variable "azure_location" {
  description = "Region of the storage account: far from the bucket's."
  type        = string
  default     = "eastus2"
  validation {
    condition     = can(regex("^[a-z0-9]+$", var.azure_location))
    error_message = "azure_location: want a region's short name."
  }
}

variable "bucket" {
  description = "Name of the bucket."
  type        = string
  validation {
    condition     = length(var.bucket) > 0
    error_message = "bucket: want a name."
  }
}

variable "storage_account" {
  description = "Name of the storage account."
  type        = string
  validation {
    condition     = length(var.storage_account) > 0
    error_message = "storage_account: want a name."
  }
}

variable "retention_days" {
  description = "Days for which both tiers lock every recording: one number, for both."
  type        = number
  default     = 2555
  validation {
    condition     = var.retention_days >= 1
    error_message = "retention_days: want at least 1."
  }
}

variable "retention_mode" {
  description = "GOVERNANCE or COMPLIANCE, in S3."
  type        = string
  default     = "GOVERNANCE"
  validation {
    condition     = contains(["GOVERNANCE", "COMPLIANCE"], var.retention_mode)
    error_message = "retention_mode: want GOVERNANCE or COMPLIANCE."
  }
}

variable "lock_each_object" {
  description = "The programs lock each object in S3 themselves, besides the bucket's default."
  type        = bool
  default     = false
}

variable "azure_retention_locked" {
  description = "Lock Azure's retention for ever. The first apply takes false; there are no writers in Azure before it is true."
  type        = bool
}

variable "azure_customer_key" {
  description = "A key of your own for the storage account, and the identity that may use it: as customer_key of the module azure; null: Microsoft's keys."
  type = object({
    key_vault_key_id = string
    identity_id      = string
  })
  default  = null
  nullable = true
}

variable "expire_after_days" {
  description = "Days after which primary removes recordings; null: never. Backup never does."
  type        = number
  default     = null
  nullable    = true
  validation {
    condition     = var.expire_after_days == null ? true : var.expire_after_days >= var.retention_days
    error_message = "expire_after_days is less than retention_days."
  }
}

variable "storage_classes" {
  description = "Storage class to the days after which primary's recordings move there."
  type        = map(number)
  default     = {}
}

variable "regions" {
  description = "Where the programs run, one or two, in the order in which webhooks go there: the cluster's OIDC provider in AWS, its issuer, the namespace, the host name of ingress's load balancer, and the name of its own that health checks ask."
  type = list(object({
    name              = string
    oidc_provider_arn = string
    issuer            = string
    namespace         = optional(string, "twinreel")
    target            = string
    health_host       = string
    s3_endpoint       = optional(string)
  }))
  validation {
    condition     = length(var.regions) >= 1 && length(var.regions) <= 2 && length(distinct([for r in var.regions : r.name])) == length(var.regions)
    error_message = "regions: want one or two, with different names."
  }
  validation {
    condition     = alltrue([for r in var.regions : startswith(r.issuer, "https://") && endswith(r.oidc_provider_arn, "oidc-provider/${trimprefix(r.issuer, "https://")}")])
    error_message = "regions: oidc_provider_arn and issuer are of one cluster: arn:…:oidc-provider/HOST/PATH and https://HOST/PATH."
  }
}

variable "zone_id" {
  description = "Route 53 zone of the webhooks' name; null: DNS is somebody else's."
  type        = string
  default     = null
  nullable    = true
}

variable "webhook_name" {
  description = "Name that the platform sends webhooks to."
  type        = string
  default     = null
  nullable    = true
  validation {
    condition     = (var.webhook_name == null) == (var.zone_id == null)
    error_message = "webhook_name and zone_id belong together."
  }
}

variable "private_network" {
  description = "Private ways to the stores: the inputs aws_network, aws_peer, azure_network and azure_peerings of the module private; null: none. With azure_only_private the account answers nobody else."
  type = object({
    aws_network = optional(object({
      vpc_id             = string
      route_table_ids    = list(string)
      subnet_ids         = optional(list(string), [])
      security_group_ids = optional(list(string), [])
    }))
    aws_peer = optional(object({
      vpc_id              = string
      region              = string
      cidr                = string
      route_table_ids     = list(string)
      our_cidr            = string
      our_route_table_ids = list(string)
    }))
    azure_network = optional(object({
      resource_group_name = string
      location            = string
      subnet_id           = string
      vnet_ids            = map(string)
    }))
    azure_peerings = optional(map(object({
      resource_group_name = string
      vnet_name           = string
      remote_vnet_id      = string
    })), {})
    azure_only_private = optional(bool, false)
  })
  default  = null
  nullable = true
  validation {
    condition     = var.private_network == null ? true : (try(var.private_network.aws_peer.region, null) == var.aws_peer_region)
    error_message = "private_network: aws_peer.region must be aws_peer_region, whose provider it uses."
  }
  validation {
    condition     = var.private_network == null ? true : !var.private_network.azure_only_private || var.private_network.azure_network != null
    error_message = "private_network: azure_only_private without azure_network would leave no way to the account."
  }
}

variable "break_glass_arns" {
  description = "People who may take the break-glass role in AWS."
  type        = list(string)
  validation {
    condition     = length(var.break_glass_arns) > 0
    error_message = "break_glass_arns: want at least one."
  }
}

variable "break_glass_principal_ids" {
  description = "People or groups who may delete in Azure what retention no longer holds."
  type        = list(string)
  default     = []
}

variable "administrator_arns" {
  description = "Who runs terraform in AWS."
  type        = list(string)
  validation {
    condition     = length(var.administrator_arns) > 0
    error_message = "administrator_arns: want at least one."
  }
}

variable "tags" {
  description = "Tags of all that is made."
  type        = map(string)
  default     = { application = "twinreel" }
}
