output "account_id" {
  description = "Resource ID of the storage account, for private endpoints."
  value       = azurerm_storage_account.recordings.id
}

output "writer_client_ids" {
  description = "Region to the client ID of worker-backup's identity there, where one was made."
  value       = { for name, who in var.writers : name => azurerm_user_assigned_identity.program["writer-${name}"].client_id if who.issuer != null }
}

output "reader_client_ids" {
  description = "Region to the client ID of the reconciler's identity there, where one was made."
  value       = { for name, who in var.readers : name => azurerm_user_assigned_identity.program["reader-${name}"].client_id if who.issuer != null }
}

output "origin" {
  description = "Scheme and host of the account's blob service, as copies from it are allowed."
  value       = "https://${azurerm_storage_account.recordings.name}.blob.core.windows.net"
}

# TWINREEL_AZURE_IMMUTABILITY_DAYS stays 0: the account's policy locks each version, and to lock single blobs takes a right that
# is above retention (immutableStorage/runAsSuperUser).
output "environment" {
  description = "The store's settings of worker-backup and the reconciler."
  value = {
    TWINREEL_AZURE_SERVICE_URL = "https://${azurerm_storage_account.recordings.name}.blob.core.windows.net"
    TWINREEL_AZURE_CONTAINER   = azurerm_storage_container.recordings.name
  }
}
