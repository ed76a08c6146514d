# What one region's programs are told. Both regions use the same two stores, each by identities of its own. It makes nothing.

locals {
  s3 = merge(var.s3.environment, var.s3_endpoint == null ? {} : { TWINREEL_S3_ENDPOINT = var.s3_endpoint })
  # Links to copies in S3 are signed for the address that the reconciler itself uses.
  s3_origin = var.s3_endpoint == null ? var.s3.origin : replace(var.s3_endpoint, "https://", "https://${var.s3.environment["TWINREEL_S3_BUCKET"]}.")
}
