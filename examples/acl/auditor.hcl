# An auditor: sees everything but material and data, takes the custody record away and verifies it. Changes nothing: the
# two updates below only sign and compute.
#
#   vault policy write keylife-auditor auditor.hcl

path "keylife/keys" {
  capabilities = ["list"]
}

path "keylife/keys/+" {
  capabilities = ["read"]
}

path "keylife/keys/+/rotation" {
  capabilities = ["read"]
}

path "keylife/keys/+/history" {
  capabilities = ["read", "list"]
}

path "keylife/keys/+/compromise-report" {
  capabilities = ["read"]
}

path "keylife/keys/+/check" {
  capabilities = ["read"]
}

path "keylife/keys/+/jwks" {
  capabilities = ["read"]
}

path "keylife/keys/+/versions" {
  capabilities = ["list"]
}

path "keylife/keys/+/versions/+" {
  capabilities = ["read"]
}

# Who reads the first one makes the key that signs them.
path "keylife/keys/+/versions/+/attestation" {
  capabilities = ["read"]
}

path "keylife/policies" {
  capabilities = ["list"]
}

path "keylife/policies/+" {
  capabilities = ["read"]
}

path "keylife/config/+" {
  capabilities = ["read", "list"]
}

path "keylife/custody/export" {
  capabilities = ["read"]
}

path "keylife/custody/public-key" {
  capabilities = ["read"]
}

path "keylife/custody/checkpoint" {
  capabilities = ["update"]
}

path "keylife/custody/verify" {
  capabilities = ["update"]
}

path "keylife/compliance/report" {
  capabilities = ["read"]
}

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

path "keylife/policies/+/revisions" {
  capabilities = ["list"]
}

path "keylife/policies/+/revisions/+" {
  capabilities = ["read"]
}

path "keylife/policies/+/drift" {
  capabilities = ["read", "list"]
}

path "keylife/policies/+/history" {
  capabilities = ["read", "list"]
}

# Public halves: those of no key are secret.
path "keylife/export/public-key/*" {
  capabilities = ["read"]
}

path "keylife/cache-config" {
  capabilities = ["read"]
}

path "keylife/health" {
  capabilities = ["read"]
}

path "keylife/hsm/status" {
  capabilities = ["read"]
}

path "keylife/hsm/keks" {
  capabilities = ["list"]
}

path "keylife/hsm/keks/+" {
  capabilities = ["read"]
}

# Who asked for what, who consented, and who may.
path "keylife/approvals" {
  capabilities = ["list"]
}

path "keylife/approvals/+" {
  capabilities = ["read"]
}

path "keylife/approvers" {
  capabilities = ["list"]
}

path "keylife/approvers/+" {
  capabilities = ["read"]
}

# What was done without consent, and what others said of it.
path "keylife/reviews" {
  capabilities = ["list"]
}

path "keylife/reviews/+" {
  capabilities = ["read"]
}

# Who uses which keys. That a review of it was done, somebody else attests.
path "keylife/access-review" {
  capabilities = ["read"]
}
