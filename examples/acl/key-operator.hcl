# A key operator: makes keys under a policy and does what keeps them going. What he does himself an
# operator can undo, or it takes capability away; what brings it back from the archive, or destroys, is in
# key-custodian.hcl. But he may bind a key to any policy that there is, and its rules act on the key then, to the
# destruction of old versions; delays and quiet periods that run are not shortened. Keep policies on a mount that may
# govern each of its keys, or list those that may be named in allowed_parameters. No data: without encrypt and decrypt
# an operator cannot open a ciphertext.
#
#   vault policy write keylife-key-operator key-operator.hcl

path "keylife/keys" {
  capabilities = ["list"]
}

# One segment each, so that nothing below a key is granted by the way. Writing to a key that exists binds it to the policy
# that is named: an operator can bind it to another one, but not free it. (required_parameters = ["policy"] would demand a
# policy of every new key; Vault then refuses reading too.)
path "keylife/keys/+" {
  capabilities = ["create", "read", "update"]
  denied_parameters = {
    "policy" = [""]
  }
}

# Lowering min_decryption_version recovers versions; the others loosen what protects the key.
path "keylife/keys/+/config" {
  capabilities = ["update"]
  denied_parameters = {
    "policy"                 = []
    "deletion_allowed"       = []
    "exportable"             = []
    "allow_plaintext_backup" = []
    "min_decryption_version" = []
  }
}

path "keylife/keys/+/rotate" {
  capabilities = ["update"]
}

path "keylife/keys/+/rollback" {
  capabilities = ["update"]
}

path "keylife/keys/+/suspend" {
  capabilities = ["update"]
}

path "keylife/keys/+/resume" {
  capabilities = ["update"]
}

path "keylife/keys/+/versions/+/promote" {
  capabilities = ["update"]
}

path "keylife/keys/+/versions/+/suspend" {
  capabilities = ["update"]
}

path "keylife/keys/+/versions/+/resume" {
  capabilities = ["update"]
}

path "keylife/keys/+/versions/+/archive" {
  capabilities = ["update"]
}

path "keylife/keys/+/rotation" {
  capabilities = ["read"]
}

path "keylife/keys/+/history" {
  capabilities = ["read", "list"]
}

path "keylife/keys/+/versions" {
  capabilities = ["list"]
}

path "keylife/keys/+/versions/+" {
  capabilities = ["read"]
}

# Which policies there are, to name one.
path "keylife/policies" {
  capabilities = ["list"]
}

path "keylife/policies/+" {
  capabilities = ["read"]
}

# What the clock will do, and what waits for an operator.
path "keylife/keys/+/plan" {
  capabilities = ["read", "list"]
}

path "keylife/inventory" {
  capabilities = ["read"]
}

path "keylife/calendar" {
  capabilities = ["read"]
}

path "keylife/rotation/status" {
  capabilities = ["read", "list"]
}

path "keylife/policies/+/drift" {
  capabilities = ["read", "list"]
}

# A certificate for a key that signs. The request is signed with the key; nothing else can be.
path "keylife/keys/+/csr" {
  capabilities = ["update"]
}

path "keylife/keys/+/set-certificate" {
  capabilities = ["update"]
}

# What was asked for where a rule asks for the consent of others. Repeating the refused command needs the paths above; only
# who asked may withdraw.
path "keylife/approvals" {
  capabilities = ["list"]
}

path "keylife/approvals/+" {
  capabilities = ["read"]
}

path "keylife/approvals/+/withdraw" {
  capabilities = ["update"]
}

# How the mount is, also as it is now, and how the stored material of a key is.
path "keylife/health" {
  capabilities = ["read", "update"]
}

path "keylife/keys/+/check" {
  capabilities = ["read"]
}
