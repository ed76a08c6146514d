# Ways from the programs' networks to the bucket that leave AWS's network nowhere. What an endpoint lets through is that bucket;
# who may do what there is said by the bucket's policy and the roles.

locals {
  aws_network = { for n in var.aws_network[*] : "here" => n }
  interface   = { for name, n in local.aws_network : name => n if length(n.subnet_ids) > 0 }
  aws_peer    = { for p in var.aws_peer[*] : "peer" => p if var.aws_network != null }

  to_the_bucket = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [var.bucket_arn, "${var.bucket_arn}/*"]
    }]
  })
}

resource "aws_vpc_endpoint" "gateway" {
  for_each          = local.aws_network
  region            = var.region
  vpc_id            = each.value.vpc_id
  service_name      = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = each.value.route_table_ids
  policy            = local.to_the_bucket
  tags              = var.tags
}

resource "aws_vpc_endpoint" "interface" {
  for_each            = local.interface
  region              = var.region
  vpc_id              = each.value.vpc_id
  service_name        = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = each.value.subnet_ids
  security_group_ids  = each.value.security_group_ids
  private_dns_enabled = false # the gateway serves this network; peers use the endpoint's own names
  policy              = local.to_the_bucket
  tags                = var.tags

  depends_on = [aws_vpc_endpoint.gateway]
}

resource "aws_vpc_peering_connection" "peer" {
  for_each    = local.aws_peer
  region      = var.region
  vpc_id      = var.aws_network.vpc_id
  peer_vpc_id = each.value.vpc_id
  peer_region = each.value.region
  auto_accept = false
  tags        = var.tags
}

resource "aws_vpc_peering_connection_accepter" "peer" {
  for_each                  = local.aws_peer
  provider                  = aws.peer
  region                    = each.value.region
  vpc_peering_connection_id = aws_vpc_peering_connection.peer[each.key].id
  auto_accept               = true
  tags                      = var.tags
}

resource "aws_route" "to_peer" {
  for_each                  = toset(flatten([for p in values(local.aws_peer) : p.our_route_table_ids]))
  region                    = var.region
  route_table_id            = each.value
  destination_cidr_block    = var.aws_peer.cidr
  vpc_peering_connection_id = aws_vpc_peering_connection.peer["peer"].id
}

resource "aws_route" "from_peer" {
  for_each                  = toset(flatten([for p in values(local.aws_peer) : p.route_table_ids]))
  provider                  = aws.peer
  region                    = var.aws_peer.region
  route_table_id            = each.value
  destination_cidr_block    = var.aws_peer.our_cidr
  vpc_peering_connection_id = aws_vpc_peering_connection_accepter.peer["peer"].id
}
