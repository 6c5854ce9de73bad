# One ACL policy a role; who holds which is for the auth methods to say.
resource "vault_policy" "role" {
  for_each = toset([
    "policy-author", "key-operator", "key-custodian", "incident-responder", "key-user", "auditor",
    "approver",
  ])

  name   = "keylife-${each.key}"
  policy = file("${path.module}/../acl/${each.key}.hcl")

  depends_on = [vault_mount.keylife]
}
