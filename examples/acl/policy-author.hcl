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
