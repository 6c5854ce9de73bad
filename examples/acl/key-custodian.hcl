# A key custodian: the steps that bring back what was archived, or lead to destruction, and the settings that guard them.
# Few people hold this, and none of them also key-user.hcl.
#
#   vault policy write keylife-key-custodian key-custodian.hcl

path "keylife/keys" {
  capabilities = ["list"]
}

# delete is for keys that no policy governs, and only where deletion_allowed is set.
path "keylife/keys/+" {
  capabilities = ["read", "delete"]
}

path "keylife/keys/+/config" {
  capabilities = ["update"]
}

path "keylife/keys/+/archive" {
  capabilities = ["update"]
}

path "keylife/keys/+/recover" {
  capabilities = ["update"]
}

path "keylife/keys/+/retire" {
  capabilities = ["update"]
}

path "keylife/keys/+/restore" {
  capabilities = ["update"]
}

path "keylife/keys/+/hold" {
  capabilities = ["update"]
}

path "keylife/keys/+/trim" {
  capabilities = ["update"]
}

path "keylife/keys/+/versions/+/archive" {
  capabilities = ["update"]
}

# Also what lets a compromised version be rewrapped from that was out of use when it was reported.
path "keylife/keys/+/versions/+/recover" {
  capabilities = ["update"]
}

path "keylife/keys/+/versions/+/retire" {
  capabilities = ["update"]
}

path "keylife/keys/+/versions/+/restore" {
  capabilities = ["update"]
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

# The clock guard: whoever believes a wrong clock lets keys be destroyed early.
path "keylife/config/clock" {
  capabilities = ["read", "update"]
}

# A new key to sign checkpoints with.
path "keylife/custody/rotate-key" {
  capabilities = ["update"]
}

# What the clock will do to a key.
path "keylife/keys/+/plan" {
  capabilities = ["read", "list"]
}

# What lets keys in that were made elsewhere. What lets material out, export, byok-export and backup, is in none of these files:
# name the key where you allow it, and have the policy demand a reason.
path "keylife/wrapping_key" {
  capabilities = ["read"]
}

path "keylife/keys/+/import" {
  capabilities = ["update"]
}

path "keylife/keys/+/import_version" {
  capabilities = ["update"]
}

path "keylife/restore" {
  capabilities = ["update"]
}

path "keylife/restore/+" {
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
