# Who the programs are. Each region has roles of its own, so that one can be withdrawn without the other.

locals {
  identities = merge(
    { for name, who in var.writers : "writer-${name}" => who },
    { for name, who in var.readers : "reader-${name}" => who },
  )

  # By name and not by reference: the policies name them before they are made.
  role_arns = { for name in concat(keys(local.identities), ["break-glass"]) :
    name => "arn:${var.partition}:iam::${var.account_id}:role/${var.prefix}-${name}"
  }
  writer_arns     = [for name in sort(keys(var.writers)) : local.role_arns["writer-${name}"]]
  reader_arns     = [for name in sort(keys(var.readers)) : local.role_arns["reader-${name}"]]
  break_glass_arn = local.role_arns["break-glass"]

  issuers = { for name, who in local.identities : name => who.oidc_provider_arn == null ? "" : regex("oidc-provider/(.+)$", who.oidc_provider_arn)[0] }

  trust = { for name, who in local.identities : name => who.oidc_provider_arn == null ? jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { AWS = who.principal_arns } }]
    }) : jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRoleWithWebIdentity"
      Principal = { Federated = who.oidc_provider_arn }
      Condition = { StringEquals = {
        "${local.issuers[name]}:sub" = who.subject
        "${local.issuers[name]}:aud" = "sts.amazonaws.com"
      } }
    }]
  }) }
}

resource "aws_iam_role" "program" {
  for_each             = local.identities
  name                 = "${var.prefix}-${each.key}"
  description          = startswith(each.key, "writer-") ? "Twinreel's worker-primary: adds, and cannot take away" : "Twinreel's reconciler: looks, and adds below audit/"
  assume_role_policy   = local.trust[each.key]
  max_session_duration = 43200
  tags                 = var.tags
}

resource "aws_iam_role_policy" "program" {
  for_each = local.identities
  name     = "store"
  role     = aws_iam_role.program[each.key].name
  policy   = startswith(each.key, "writer-") ? local.writer_policy : local.reader_policy
}

# Nobody's daily work: with a second factor, for an hour.
resource "aws_iam_role" "break_glass" {
  name                 = "${var.prefix}-break-glass"
  description          = "Deletes recordings and ends retention. For emergencies, and erasures that are owed"
  max_session_duration = 3600
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { AWS = var.break_glass_arns }
      Condition = {
        Bool            = { "aws:MultiFactorAuthPresent" = "true" }
        NumericLessThan = { "aws:MultiFactorAuthAge" = "3600" }
      }
    }]
  })
  tags = var.tags
}

resource "aws_iam_role_policy" "break_glass" {
  name   = "store"
  role   = aws_iam_role.break_glass.name
  policy = local.break_glass_policy
}
