# A viewer: sees how keys stand, what comes, what was done and what waits for people. Changes nothing, uses no key, and takes no
# material: the update below plans a policy and writes nothing.
#
#   vault policy write keylife-viewer viewer.hcl

path "keylife/keys" {
  capabilities = ["list"]
}

path "keylife/keys/+" {
  capabilities = ["read"]
}

path "keylife/keys/+/versions" {
  capabilities = ["list"]
}

path "keylife/keys/+/versions/+" {
  capabilities = ["read"]
}

path "keylife/keys/+/history" {
  capabilities = ["read", "list"]
}

path "keylife/keys/+/rotation" {
  capabilities = ["read"]
}

path "keylife/keys/+/plan" {
  capabilities = ["read", "list"]
}

path "keylife/policies" {
  capabilities = ["list"]
}

path "keylife/policies/+" {
  capabilities = ["read"]
}

path "keylife/policies/+/revisions" {
  capabilities = ["list"]
}

path "keylife/policies/+/revisions/+" {
  capabilities = ["read"]
}

path "keylife/policies/+/history" {
  capabilities = ["read", "list"]
}

path "keylife/policies/+/drift" {
  capabilities = ["read", "list"]
}

path "keylife/policies/+/plan" {
  capabilities = ["update"]
}

path "keylife/rotation/status" {
  capabilities = ["read", "list"]
}

path "keylife/inventory" {
  capabilities = ["read"]
}

path "keylife/calendar" {
  capabilities = ["read"]
}

path "keylife/metrics" {
  capabilities = ["read"]
}

path "keylife/custody/export" {
  capabilities = ["read"]
}

path "keylife/approvals" {
  capabilities = ["list"]
}

path "keylife/approvals/+" {
  capabilities = ["read"]
}

path "keylife/reviews" {
  capabilities = ["list"]
}

path "keylife/reviews/+" {
  capabilities = ["read"]
}

path "keylife/health" {
  capabilities = ["read"]
}

path "keylife/config/clock" {
  capabilities = ["read"]
}

path "keylife/config/history" {
  capabilities = ["read"]
}
