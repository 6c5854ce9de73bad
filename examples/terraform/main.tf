terraform {
  required_version = ">= 1.5"

  required_providers {
    vault = {
      source  = "hashicorp/vault"
      version = "~> 5.0"
    }
  }
}

# Address and token come from VAULT_ADDR and VAULT_TOKEN.
provider "vault" {}

# The binary has to be in the server's plugin_directory already: Vault checks it against the sum.
resource "vault_plugin" "keylife" {
  type    = "secret"
  name    = "keylife"
  command = var.plugin_command
  sha256  = var.plugin_sha256
}

resource "vault_mount" "keylife" {
  path        = "keylife"
  type        = vault_plugin.keylife.name
  description = "Transit with a lifecycle"

  # Without the mount every key in it is gone, and every ciphertext with them.
  lifecycle {
    prevent_destroy = true
  }
}
