# The backup tier: one account, one container. Nothing removes anything by itself: there is no management policy, and that is
# meant. What is here is what is left when primary's rules went wrong.

resource "azurerm_storage_account" "recordings" {
  name                = var.account
  resource_group_name = var.resource_group_name
  location            = var.location

  account_kind             = "StorageV2"
  account_tier             = "Standard"
  account_replication_type = var.replication
  access_tier              = var.access_tier

  # With a hierarchical namespace there are neither versions nor index tags.
  is_hns_enabled = false

  # Identities only: an account key may do everything, and cannot be told from another's.
  shared_access_key_enabled       = false
  default_to_oauth_authentication = true
  local_user_enabled              = false
  sftp_enabled                    = false

  https_traffic_only_enabled       = true
  min_tls_version                  = "TLS1_2"
  allow_nested_items_to_be_public  = false
  cross_tenant_replication_enabled = false
  public_network_access_enabled    = var.public_network

  infrastructure_encryption_enabled = true

  blob_properties {
    versioning_enabled = true

    # These keep what somebody deleted; they delete nothing that nobody deleted.
    delete_retention_policy {
      days                     = 30
      permanent_delete_enabled = false
    }

    container_delete_retention_policy {
      days = 30
    }
  }

  # Each version is locked from its creation on. Whoever writes over a blob makes another version; the one before stays.
  immutability_policy {
    allow_protected_append_writes = false
    period_since_creation_in_days = var.retention_days
    state                         = var.retention_locked ? "Locked" : "Unlocked"
  }

  dynamic "identity" {
    for_each = var.customer_key == null ? [] : [var.customer_key]
    content {
      type         = "UserAssigned"
      identity_ids = [identity.value.identity_id]
    }
  }

  dynamic "customer_managed_key" {
    for_each = var.customer_key == null ? [] : [var.customer_key]
    content {
      key_vault_key_id          = customer_managed_key.value.key_vault_key_id
      user_assigned_identity_id = customer_managed_key.value.identity_id
    }
  }

  tags = var.tags

  lifecycle {
    prevent_destroy = true
  }
}

resource "azurerm_storage_container" "recordings" {
  name                  = var.container
  storage_account_id    = azurerm_storage_account.recordings.id
  container_access_type = "private"

  lifecycle {
    prevent_destroy = true
  }
}

# Also an owner of the subscription has to take this away first, on purpose.
resource "azurerm_management_lock" "recordings" {
  name       = "${var.prefix}-recordings"
  scope      = azurerm_storage_account.recordings.id
  lock_level = "CanNotDelete"
  notes      = "The second copy of every recording."
}
