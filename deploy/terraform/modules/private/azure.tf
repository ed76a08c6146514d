# The account under a private address, and the name by which that address is found.

locals {
  azure_network = { for n in var.azure_network[*] : "here" => n }
  account_name  = element(split("/", var.azure_account_id), length(split("/", var.azure_account_id)) - 1)
}

resource "azurerm_private_dns_zone" "blob" {
  for_each            = local.azure_network
  name                = "privatelink.blob.core.windows.net"
  resource_group_name = each.value.resource_group_name
  tags                = var.tags
}

resource "azurerm_private_dns_zone_virtual_network_link" "blob" {
  for_each              = merge([for n in values(local.azure_network) : n.vnet_ids]...)
  name                  = each.key
  resource_group_name   = var.azure_network.resource_group_name
  private_dns_zone_name = azurerm_private_dns_zone.blob["here"].name
  virtual_network_id    = each.value
  registration_enabled  = false
  tags                  = var.tags
}

resource "azurerm_private_endpoint" "blob" {
  for_each            = local.azure_network
  name                = "${local.account_name}-blob"
  resource_group_name = each.value.resource_group_name
  location            = each.value.location
  subnet_id           = each.value.subnet_id
  tags                = var.tags

  private_service_connection {
    name                           = "${local.account_name}-blob"
    private_connection_resource_id = var.azure_account_id
    subresource_names              = ["blob"]
    is_manual_connection           = false
  }

  private_dns_zone_group {
    name                 = "blob"
    private_dns_zone_ids = [azurerm_private_dns_zone.blob[each.key].id]
  }
}

resource "azurerm_virtual_network_peering" "peer" {
  for_each                  = var.azure_peerings
  name                      = each.key
  resource_group_name       = each.value.resource_group_name
  virtual_network_name      = each.value.vnet_name
  remote_virtual_network_id = each.value.remote_vnet_id
  allow_forwarded_traffic   = false
}
