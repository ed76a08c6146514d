variable "bucket_arn" {
  description = "ARN of the bucket: the endpoints lead there and nowhere else."
  type        = string
  validation {
    condition     = can(regex("^arn:[a-z-]+:s3:::[a-z0-9-]+$", var.bucket_arn))
    error_message = "bucket_arn: want the ARN of a bucket."
  }
}

variable "region" {
  description = "The bucket's region."
  type        = string
  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region: want the name of an AWS region."
  }
}

variable "aws_network" {
  description = "The programs' VPC in the bucket's region: its route tables get the gateway endpoint; with subnets, an interface endpoint is made as well, which peers can use. null: none."
  type = object({
    vpc_id             = string
    route_table_ids    = list(string)
    subnet_ids         = optional(list(string), [])
    security_group_ids = optional(list(string), [])
  })
  default  = null
  nullable = true
  validation {
    condition     = var.aws_network == null ? true : length(var.aws_network.route_table_ids) > 0
    error_message = "aws_network: without route tables nothing finds the gateway endpoint."
  }
  validation {
    condition     = var.aws_network == null ? true : (length(var.aws_network.subnet_ids) > 0) == (length(var.aws_network.security_group_ids) > 0)
    error_message = "aws_network: subnet_ids and security_group_ids belong together: who may use the interface endpoint is said by its group."
  }
}

variable "aws_peer" {
  description = "The second region's VPC, peered with aws_network, so that it reaches the interface endpoint: its region (the provider aws.peer's), its and our ranges, its and our route tables. null: none."
  type = object({
    vpc_id              = string
    region              = string
    cidr                = string
    route_table_ids     = list(string)
    our_cidr            = string
    our_route_table_ids = list(string)
  })
  default  = null
  nullable = true
  validation {
    condition     = var.aws_peer == null ? true : can(cidrhost(var.aws_peer.cidr, 0)) && can(cidrhost(var.aws_peer.our_cidr, 0)) && var.aws_peer.cidr != var.aws_peer.our_cidr
    error_message = "aws_peer: cidr and our_cidr are two different ranges, such as 10.2.0.0/16."
  }
}

variable "azure_account_id" {
  description = "Resource ID of the storage account."
  type        = string
  validation {
    condition     = can(regex("^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft.Storage/storageAccounts/[a-z0-9]+$", var.azure_account_id))
    error_message = "azure_account_id: want the resource ID of a storage account."
  }
}

variable "azure_network" {
  description = "The virtual network that the account is reached from (workloads in AWS come by VPN or ExpressRoute): the endpoint's subnet, and networks that resolve the account's name to it. null: none."
  type = object({
    resource_group_name = string
    location            = string
    subnet_id           = string
    vnet_ids            = map(string)
  })
  default  = null
  nullable = true
  validation {
    condition     = var.azure_network == null ? true : length(var.azure_network.vnet_ids) > 0
    error_message = "azure_network: without vnet_ids nobody resolves the account's name to the endpoint."
  }
}

variable "azure_peerings" {
  description = "Peerings of virtual networks, one entry for each direction: name to network, its resource group, and the remote network's ID."
  type = map(object({
    resource_group_name = string
    vnet_name           = string
    remote_vnet_id      = string
  }))
  default = {}
  validation {
    condition     = length(var.azure_peerings) % 2 == 0
    error_message = "azure_peerings: a peering needs both directions."
  }
}

variable "tags" {
  description = "Tags of all that is made."
  type        = map(string)
  default     = {}
}
