# A key user, mostly an application: uses one key and nothing else. It cannot read the key's configuration, rotate it or
# make another one.
#
#   vault policy write orders-user key-user.hcl

# Not "create": Vault asks for it where no key of the name exists, and a name that is spelled wrong would make one.
path "keylife/encrypt/orders" {
  capabilities = ["update"]
}

path "keylife/decrypt/orders" {
  capabilities = ["update"]
}

# Moves an old ciphertext to the current version without showing the plaintext.
path "keylife/rewrap/orders" {
  capabilities = ["update"]
}

# Data keys: datakey/plaintext and datakey/wrapped. Leave out what the application does not use.
path "keylife/datakey/+/orders" {
  capabilities = ["update"]
}

# Several data keys in one call.
path "keylife/datakeys/+/orders" {
  capabilities = ["update"]
}

# Signatures and MACs; the second path of each names the algorithm, or the length. Whoever only checks needs verify alone.
path "keylife/sign/orders" {
  capabilities = ["update"]
}

path "keylife/sign/orders/+" {
  capabilities = ["update"]
}

path "keylife/verify/orders" {
  capabilities = ["update"]
}

path "keylife/verify/orders/+" {
  capabilities = ["update"]
}

path "keylife/hmac/orders" {
  capabilities = ["update"]
}

path "keylife/hmac/orders/+" {
  capabilities = ["update"]
}

path "keylife/cmac/orders" {
  capabilities = ["update"]
}

path "keylife/cmac/orders/+" {
  capabilities = ["update"]
}
