# A policy author: says how keys are to live, and touches none of them. Whoever also holds key-operator.hcl sets the rules
# that he is bound by; keep the two on different identities.
#
#   vault policy write keylife-policy-author policy-author.hcl

path "keylife/policies" {
  capabilities = ["list"]
}

path "keylife/policies/+" {
  capabilities = ["create", "read", "update", "delete"]
}

# Old revisions, what a candidate would do, and which keys do not meet the one in force.
path "keylife/policies/+/revisions" {
  capabilities = ["list"]
}

path "keylife/policies/+/revisions/+" {
  capabilities = ["read"]
}

# Writes nothing; Vault calls it an update because it carries a candidate.
path "keylife/policies/+/plan" {
  capabilities = ["update"]
}

path "keylife/policies/+/drift" {
  capabilities = ["read", "list"]
}

path "keylife/policies/+/history" {
  capabilities = ["read", "list"]
}

# Whether a key needs a policy, and which one it gets.
path "keylife/config/engine" {
  capabilities = ["read", "update"]
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
