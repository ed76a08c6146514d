output "environment" {
  description = "Program to the settings that come from the stores."
  value = {
    worker-primary = merge(local.s3, { TWINREEL_COPY_FROM_ORIGINS = var.azure.origin })
    worker-backup  = merge(var.azure.environment, { TWINREEL_COPY_FROM_ORIGINS = local.s3_origin })
    reconciler     = merge(local.s3, var.azure.environment, { TWINREEL_RETENTION_DAYS = tostring(var.retention_days) })
  }
}

output "annotations" {
  description = "ServiceAccount to the annotations by which it is somebody in the clouds: deploy/kubernetes/overlays/production/identities.yaml."
  value = {
    worker-primary = { "eks.amazonaws.com/role-arn" = var.s3.writer_role_arns[var.name] }
    worker-backup  = { for id in [lookup(var.azure.writer_client_ids, var.name, null)] : "azure.workload.identity/client-id" => id if id != null }
    reconciler = merge(
      { "eks.amazonaws.com/role-arn" = var.s3.reader_role_arns[var.name] },
      { for id in [lookup(var.azure.reader_client_ids, var.name, null)] : "azure.workload.identity/client-id" => id if id != null },
    )
  }
}
