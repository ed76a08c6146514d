output "webhook_url" {
  description = "Address to register on the platform, for the source \"default\"."
  value       = "https://${var.name}/api/v1/webhooks/recording-complete"
}

output "health_check_ids" {
  description = "Region to its health check, for alarms."
  value       = { for name, check in aws_route53_health_check.ingress : name => check.id }
}
