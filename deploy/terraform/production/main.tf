# The two tiers, once; the programs' identities and settings, once for each region that they run in; and the name of webhooks.

locals {
  accounts = { for program in ["worker-primary", "worker-backup", "reconciler"] :
    program => { for r in var.regions : r.name => { subject = "system:serviceaccount:${r.namespace}:${program}", provider = r.oidc_provider_arn, issuer = r.issuer } }
  }
}

module "aws" {
  source = "../modules/aws"

  account_id         = var.aws_account_id
  region             = var.aws_region
  bucket             = var.bucket
  retention_mode     = var.retention_mode
  retention_days     = var.retention_days
  lock_each_object   = var.lock_each_object
  expire_after_days  = var.expire_after_days
  storage_classes    = var.storage_classes
  writers            = { for name, who in local.accounts["worker-primary"] : name => { oidc_provider_arn = who.provider, subject = who.subject } }
  readers            = { for name, who in local.accounts["reconciler"] : name => { oidc_provider_arn = who.provider, subject = who.subject } }
  break_glass_arns   = var.break_glass_arns
  administrator_arns = var.administrator_arns
  tags               = var.tags
}

module "azure" {
  source = "../modules/azure"

  resource_group_name       = var.azure_resource_group
  location                  = var.azure_location
  account                   = var.storage_account
  retention_days            = var.retention_days
  retention_locked          = var.azure_retention_locked
  public_network            = var.private_network == null ? true : !var.private_network.azure_only_private
  writers                   = { for name, who in local.accounts["worker-backup"] : name => { issuer = who.issuer, subject = who.subject } if var.azure_retention_locked }
  readers                   = { for name, who in local.accounts["reconciler"] : name => { issuer = who.issuer, subject = who.subject } }
  customer_key              = var.azure_customer_key
  break_glass_principal_ids = var.break_glass_principal_ids
  tags                      = var.tags
}

module "region" {
  source   = "../modules/region"
  for_each = { for r in var.regions : r.name => r }

  name           = each.key
  s3             = module.aws
  azure          = module.azure
  retention_days = var.retention_days
  s3_endpoint    = each.value.s3_endpoint
}

module "dns" {
  source = "../modules/dns"
  count  = var.zone_id == null ? 0 : 1

  zone_id = var.zone_id
  name    = var.webhook_name
  regions = [for r in var.regions : { name = r.name, target = r.target, health_host = r.health_host }]
  tags    = var.tags
}

module "private" {
  source = "../modules/private"
  count  = var.private_network == null ? 0 : 1

  bucket_arn       = module.aws.bucket_arn
  region           = var.aws_region
  aws_network      = var.private_network.aws_network
  aws_peer         = var.private_network.aws_peer
  azure_account_id = module.azure.account_id
  azure_network    = var.private_network.azure_network
  azure_peerings   = var.private_network.azure_peerings
  tags             = var.tags

  providers = {
    aws      = aws
    aws.peer = aws.peer
    azurerm  = azurerm
  }
}
