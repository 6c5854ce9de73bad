resource "vault_generic_endpoint" "key" {
  for_each = {
    orders = "demo"
    cards  = "pci"
    events = "high-volume"
  }

  path                 = "${vault_mount.keylife.path}/keys/${each.key}"
  disable_read         = false
  disable_delete       = true # a key under a policy is retired by its custodian, not deleted by a plan
  ignore_absent_fields = true

  data_json = jsonencode({
    type   = "aes256-gcm96"
    policy = each.value
    owner  = var.owner
  })

  depends_on = [vault_generic_endpoint.policy_demo, vault_generic_endpoint.policy_document]
}
