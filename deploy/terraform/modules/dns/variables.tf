variable "zone_id" {
  description = "Route 53 zone of the name."
  type        = string
  validation {
    condition     = can(regex("^Z[A-Z0-9]+$", var.zone_id))
    error_message = "zone_id: want the ID of a hosted zone, such as Z0123456789ABCDEFGHIJ."
  }
}

variable "name" {
  description = "Name that the platform sends webhooks to. Not the zone's own: it is a CNAME."
  type        = string
  validation {
    condition     = can(regex("^([a-z0-9-]+\\.){2,}[a-z]+$", var.name))
    error_message = "name: want a full host name below the zone, such as webhooks.example.com."
  }
}

variable "regions" {
  description = "Where ingress answers, the first being the one that webhooks go to while it is well: its name, the host name of its load balancer, and the name that its certificate is for when it is asked for its health."
  type = list(object({
    name        = string
    target      = string
    health_host = string
  }))
  validation {
    condition     = length(var.regions) >= 1 && length(var.regions) <= 2 && length(distinct([for r in var.regions : r.name])) == length(var.regions)
    error_message = "regions: want one or two, with different names."
  }
  validation {
    condition     = alltrue([for r in var.regions : can(regex("^([a-z0-9-]+\\.)+[a-z]+$", r.target)) && can(regex("^([a-z0-9-]+\\.)+[a-z]+$", r.health_host))])
    error_message = "regions: target and health_host are host names, without scheme and port."
  }
  validation {
    condition     = alltrue([for r in var.regions : r.health_host != var.name])
    error_message = "regions: health_host must be the region's own name. The shared name is wherever DNS points at the moment."
  }
}

variable "failures" {
  description = "Health checks in a row, ten seconds apart, after which a region is left."
  type        = number
  default     = 3
  validation {
    condition     = var.failures >= 2 && var.failures <= 10
    error_message = "failures: want 2 to 10. One lost answer is not a lost region."
  }
}

variable "ttl" {
  description = "Seconds for which resolvers keep the name."
  type        = number
  default     = 30
  validation {
    condition     = var.ttl >= 10 && var.ttl <= 60
    error_message = "ttl: want 10 to 60. The platform tries a webhook three times within 45 seconds."
  }
}

variable "tags" {
  description = "Tags of the health checks."
  type        = map(string)
  default     = {}
}
