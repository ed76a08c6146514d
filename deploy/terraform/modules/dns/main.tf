# One name for webhooks, led to the region that can take them. /readyz is on ingress's own address of webhooks, by HTTPS: 200 as
# long as what it would answer 200 for is really stored. Where both regions fail, Route 53 answers with the first.

locals {
  roles = ["PRIMARY", "SECONDARY"]
}

resource "aws_route53_health_check" "ingress" {
  for_each          = { for r in var.regions : r.name => r }
  type              = "HTTPS"
  fqdn              = each.value.health_host
  port              = 443
  resource_path     = "/readyz"
  enable_sni        = true
  request_interval  = 10
  failure_threshold = var.failures
  measure_latency   = true
  tags              = merge(var.tags, { Name = "${var.name} in ${each.key}" })
}

resource "aws_route53_record" "webhooks" {
  for_each        = { for i, r in var.regions : r.name => merge(r, { role = local.roles[i] }) }
  zone_id         = var.zone_id
  name            = var.name
  type            = "CNAME"
  ttl             = var.ttl
  records         = [each.value.target]
  set_identifier  = each.key
  health_check_id = aws_route53_health_check.ingress[each.key].id

  failover_routing_policy {
    type = each.value.role
  }
}
