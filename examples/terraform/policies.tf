# A policy as a document: what the security team reviewed is what the server holds, text and all.
resource "vault_generic_endpoint" "policy_document" {
  for_each = {
    general     = "general.hcl"
    pci         = "pci-dss-4.0.1.hcl"
    high-volume = "high-volume.hcl"
  }

  path                 = "${vault_mount.keylife.path}/policies/${each.key}"
  disable_read         = false # drift shows in the plan
  disable_delete       = true  # refused while keys are bound to it
  ignore_absent_fields = true  # defaults that the server fills in are not drift

  data_json = jsonencode({
    document = file("${path.module}/../policies/${each.value}")
  })
}

# A policy field by field: the other face of the same thing.
resource "vault_generic_endpoint" "policy_demo" {
  path                 = "${vault_mount.keylife.path}/policies/demo"
  disable_read         = false
  disable_delete       = true
  ignore_absent_fields = true

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

# A key that names no policy gets this one; without a policy no key is made.
resource "vault_generic_endpoint" "engine" {
  path                 = "${vault_mount.keylife.path}/config/engine"
  disable_read         = false
  disable_delete       = true
  ignore_absent_fields = true

  data_json = jsonencode({
    require_policy = true
    default_policy = "general"
  })

  depends_on = [vault_generic_endpoint.policy_document]
}
