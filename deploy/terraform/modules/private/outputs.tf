output "s3_endpoint" {
  description = "TWINREEL_S3_ENDPOINT for a peered region's programs, and part of the other tier's TWINREEL_COPY_FROM_ORIGINS there; null without an interface endpoint."
  value       = one([for e in values(aws_vpc_endpoint.interface) : replace(e.dns_entry[0].dns_name, "*", "https://bucket")])
}

output "blob_address" {
  description = "Private address of the account's blob service; null without an endpoint."
  value       = one([for e in values(azurerm_private_endpoint.blob) : e.private_service_connection[0].private_ip_address])
}
