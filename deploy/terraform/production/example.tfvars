# Two regions that share both stores. Every name here is an example.
aws_account_id        = "123456789012"
azure_subscription_id = "00000000-0000-4000-8000-000000000001"
azure_resource_group  = "twinreel"

bucket          = "example-recordings"
storage_account = "examplerecordings"

retention_days         = 2555
azure_retention_locked = true # false in the very first apply

regions = [
  {
    name              = "us-east-1"
    oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE1"
    issuer            = "https://oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE1"
    target            = "ingress-east.elb.us-east-1.amazonaws.com"
    health_host       = "east.webhooks.example.com"
  },
  {
    name              = "us-west-2"
    oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.us-west-2.amazonaws.com/id/EXAMPLE2"
    issuer            = "https://oidc.eks.us-west-2.amazonaws.com/id/EXAMPLE2"
    target            = "ingress-west.elb.us-west-2.amazonaws.com"
    health_host       = "west.webhooks.example.com"
  },
]

zone_id      = "Z0123456789ABCDEFGHIJ"
webhook_name = "webhooks.example.com"

break_glass_arns          = ["arn:aws:iam::123456789012:user/on-call-lead"]
break_glass_principal_ids = ["00000000-0000-4000-8000-000000000002"]
administrator_arns        = ["arn:aws:iam::123456789012:role/terraform"]
