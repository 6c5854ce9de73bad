# An approver: consents to what others ask for, or does not. Does nothing to a key: whoever holds this and also a role that
# asks is never counted for what he asked for himself. Which requests he is counted for, the rules say, by groups of
# Vault's identity; see docs/approvers.md.
#
#   vault policy write keylife-approver approver.hcl

path "keylife/approvals" {
  capabilities = ["list"]
}

path "keylife/approvals/+" {
  capabilities = ["read"]
}

path "keylife/approvals/+/approve" {
  capabilities = ["update"]
}

# One is enough to end a request.
path "keylife/approvals/+/deny" {
  capabilities = ["update"]
}

# What was done by break-glass is reviewed by who would have consented to it; nobody reviews what he did himself.
path "keylife/reviews" {
  capabilities = ["list"]
}

path "keylife/reviews/+" {
  capabilities = ["read"]
}

path "keylife/reviews/+/close" {
  capabilities = ["update"]
}

# Who enrols accepts the duties, and does so anew each year.
path "keylife/approvers/duties" {
  capabilities = ["read"]
}

path "keylife/approvers/acknowledge" {
  capabilities = ["update"]
}

path "keylife/approvers" {
  capabilities = ["list"]
}

path "keylife/approvers/+" {
  capabilities = ["read"]
}

# His own enrolment he may end.
path "keylife/approvers/{{identity.entity.id}}" {
  capabilities = ["read", "delete"]
}

# What a request is about, and the rule: who cannot look consents blindly.
path "keylife/keys/+" {
  capabilities = ["read"]
}

path "keylife/keys/+/plan" {
  capabilities = ["read", "list"]
}

path "keylife/keys/+/versions" {
  capabilities = ["list"]
}

path "keylife/keys/+/versions/+" {
  capabilities = ["read"]
}

path "keylife/policies/+" {
  capabilities = ["read"]
}
