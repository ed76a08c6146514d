# Who the programs are, and what they may do. Azure's built-in roles allow too much (Storage Blob Data Contributor deletes, Owner
# is above retention), so these are our own. deploy/check/internal/terraform evaluates them; POLICIES.md has the table.

locals {
  identities = merge(
    { for name, who in var.writers : "writer-${name}" => who },
    { for name, who in var.readers : "reader-${name}" => who },
  )
  made = { for name, who in local.identities : name => who if who.issuer != null }

  principal_ids = { for name, who in local.identities :
    name => who.issuer == null ? who.principal_id : azurerm_user_assigned_identity.program[name].principal_id
  }

  blobs = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
  path  = "@Resource[${local.blobs}:path]"

  # Holds for every action that makes or changes a blob; others pass.
  changing     = join(" AND ", [for action in ["write", "add/action", "tags/write"] : "!(ActionMatches{'${local.blobs}/${action}'})"])
  ours_only    = "((${local.changing}) OR (${local.path} StringLike 'recordings/*' OR ${local.path} StringLike 'metadata/*' OR ${local.path} StringLike 'probe/*'))"
  sealing_only = "((${local.changing}) OR (${local.path} StringLike 'audit/*'))"
}

resource "azurerm_user_assigned_identity" "program" {
  for_each            = local.made
  name                = "${var.prefix}-${each.key}"
  resource_group_name = var.resource_group_name
  location            = var.location
  tags                = var.tags
}

resource "azurerm_federated_identity_credential" "program" {
  for_each            = local.made
  name                = "cluster"
  resource_group_name = var.resource_group_name
  parent_id           = azurerm_user_assigned_identity.program[each.key].id
  audience            = ["api://AzureADTokenExchange"]
  issuer              = each.value.issuer
  subject             = each.value.subject
}

# write: Azure knows no right that only commits blocks. Put Block and Put Block List need it, and it can also overwrite, change
# metadata and move a blob to another tier. That is harmless to what is stored only because each version is locked and kept: see
# the precondition below. The programs' own requests are all conditional on the blob's absence.
resource "azurerm_role_definition" "writer" {
  name              = "${var.prefix} writer of ${var.account}"
  description       = "Adds recordings and their metadata, with tags, and looks. Cannot delete."
  scope             = azurerm_storage_account.recordings.id
  assignable_scopes = [azurerm_storage_account.recordings.id]

  permissions {
    data_actions = [
      "${local.blobs}/read",
      "${local.blobs}/write",
      "${local.blobs}/add/action",
      "${local.blobs}/tags/write",
    ]
  }
}

# Delegator and reader in one: the links that the reconciler hands out are signed by a key that it asks the account for.
resource "azurerm_role_definition" "reader" {
  name              = "${var.prefix} reader of ${var.account}"
  description       = "Looks at every blob, version and tag, and signs links to single blobs."
  scope             = azurerm_storage_account.recordings.id
  assignable_scopes = [azurerm_storage_account.recordings.id]

  permissions {
    actions = [
      "Microsoft.Storage/storageAccounts/blobServices/containers/read",
      "Microsoft.Storage/storageAccounts/blobServices/generateUserDelegationKey/action",
    ]
    data_actions = [
      "${local.blobs}/read",
      "${local.blobs}/tags/read",
    ]
  }
}

# add/action alone: a blob that is new can be made by one Put Blob, and none that is there be replaced.
resource "azurerm_role_definition" "sealer" {
  name              = "${var.prefix} sealer of ${var.account}"
  description       = "Creates blobs, and cannot replace any."
  scope             = azurerm_storage_account.recordings.id
  assignable_scopes = [azurerm_storage_account.recordings.id]

  permissions {
    data_actions = ["${local.blobs}/add/action"]
  }
}

resource "azurerm_role_definition" "break_glass" {
  name              = "${var.prefix} break glass of ${var.account}"
  description       = "Deletes what retention no longer holds. Cannot end a locked retention: nobody can."
  scope             = azurerm_storage_account.recordings.id
  assignable_scopes = [azurerm_storage_account.recordings.id]

  permissions {
    data_actions = [
      "${local.blobs}/read",
      "${local.blobs}/delete",
      "${local.blobs}/deleteBlobVersion/action",
      "${local.blobs}/tags/read",
    ]
  }
}

resource "azurerm_role_assignment" "writer" {
  for_each           = var.writers
  scope              = azurerm_storage_container.recordings.id
  role_definition_id = azurerm_role_definition.writer.role_definition_resource_id
  principal_id       = local.principal_ids["writer-${each.key}"]
  principal_type     = "ServicePrincipal"
  condition_version  = "2.0"
  condition          = local.ours_only

  lifecycle {
    precondition {
      condition     = azurerm_storage_account.recordings.immutability_policy[0].state == "Locked"
      error_message = "A writer can overwrite on Azure, so there must be none before retention is locked: apply without writers first, then with retention_locked = true and writers."
    }
  }
}

# At the account, since that is what hands out keys to sign links with.
resource "azurerm_role_assignment" "reader" {
  for_each           = var.readers
  scope              = azurerm_storage_account.recordings.id
  role_definition_id = azurerm_role_definition.reader.role_definition_resource_id
  principal_id       = local.principal_ids["reader-${each.key}"]
  principal_type     = "ServicePrincipal"
}

resource "azurerm_role_assignment" "sealer" {
  for_each           = var.readers
  scope              = azurerm_storage_container.recordings.id
  role_definition_id = azurerm_role_definition.sealer.role_definition_resource_id
  principal_id       = local.principal_ids["reader-${each.key}"]
  principal_type     = "ServicePrincipal"
  condition_version  = "2.0"
  condition          = local.sealing_only
}

resource "azurerm_role_assignment" "break_glass" {
  for_each           = toset(var.break_glass_principal_ids)
  scope              = azurerm_storage_container.recordings.id
  role_definition_id = azurerm_role_definition.break_glass.role_definition_resource_id
  principal_id       = each.value
}
