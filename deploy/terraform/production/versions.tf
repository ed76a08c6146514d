terraform {
  required_version = ">= 1.11.0, < 2.0.0"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.25"
    }
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 4.55"
    }
  }

  # Where the state is, comes from a file of yours: terraform init -backend-config=backend.hcl. README.md has an example.
  backend "s3" {}
}

provider "aws" {
  region              = var.aws_region
  allowed_account_ids = [var.aws_account_id]
}

# The second region's network, where private_network peers with one; the first's otherwise.
provider "aws" {
  alias               = "peer"
  region              = coalesce(var.aws_peer_region, var.aws_region)
  allowed_account_ids = [var.aws_account_id]
}

provider "azurerm" {
  subscription_id     = var.azure_subscription_id
  storage_use_azuread = true

  features {}
}
