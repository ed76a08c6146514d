output "environment" {
  description = "Region, then program, to the settings that come from the stores: for the overlay's settings.yaml, or an environment file."
  value       = { for name, region in module.region : name => region.environment }
}

output "annotations" {
  description = "Region, then ServiceAccount, to its annotations: for the overlay's identities.yaml."
  value       = { for name, region in module.region : name => region.annotations }
}

output "webhook_url" {
  description = "Address to register on the platform; null where DNS is somebody else's."
  value       = one(module.dns[*].webhook_url)
}

output "break_glass_role_arn" {
  description = "The role in AWS that alone can delete."
  value       = module.aws.break_glass_role_arn
}

output "s3_endpoint" {
  description = "Private address of S3 for a peered region (regions[].s3_endpoint); null where there is none."
  value       = one(module.private[*].s3_endpoint)
}
