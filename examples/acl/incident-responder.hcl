# An incident responder: stops keys, at once and alone, and cannot start them again; that is for key-operator.hcl.
#
#   vault policy write keylife-incident-responder incident-responder.hcl

path "keylife/keys" {
  capabilities = ["list"]
}

path "keylife/keys/+" {
  capabilities = ["read"]
}

path "keylife/keys/+/suspend" {
  capabilities = ["update"]
}

path "keylife/keys/+/versions/+/suspend" {
  capabilities = ["update"]
}

# For ever. An active version is replaced in the same act. What was out of use stays so until a custodian recovers it.
path "keylife/keys/+/versions/+/compromise" {
  capabilities = ["update"]
}

# What a report would lead to, before there is one.
path "keylife/keys/+/drill" {
  capabilities = ["update"]
}

# What has to be rewrapped.
path "keylife/keys/+/compromise-report" {
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
