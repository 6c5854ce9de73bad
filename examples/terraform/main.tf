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

resource "vault_generic_endpoint" "policy_demo" {
  path                 = "${vault_mount.keylife.path}/policies/demo"
  disable_read         = false # drift shows in the plan
  disable_delete       = true  # refused while keys are bound to it
  ignore_absent_fields = true  # defaults that the server fills in are not drift

  data_json = jsonencode({
    description       = "Encryption keys of the order service"
    owner             = var.owner
    allowed_types     = ["aes256-gcm96"]
    min_strength_bits = 256
    rotation_mode     = "auto"
    rotation_period   = "90d"
    rotation_jitter   = "5%"
  })
}

resource "vault_generic_endpoint" "key_orders" {
  path                 = "${vault_mount.keylife.path}/keys/orders"
  disable_read         = false
  disable_delete       = true # a key under a policy is retired by its custodian, not deleted by a plan
  ignore_absent_fields = true

  data_json = jsonencode({
    type   = "aes256-gcm96"
    policy = "demo"
  })

  depends_on = [vault_generic_endpoint.policy_demo]
}
