# General purpose: data at rest of an ordinary service. Rotation is quarterly and needs nobody; old versions are archived
# when the data has had half a year to move, and destroyed only by a custodian.
#
#   vault write keylife/policies/general document=@general.hcl

owner       = "platform-security"
description = "Data at rest of services without a regime of their own"

allowed_types     = ["aes256-gcm96", "chacha20-poly1305"]
min_strength_bits = 256

# SP 800-57 Part 1 Rev 5, 5.3.6: at most two years for a symmetric data-encryption key, and three more to decrypt.
rotation_period   = "90d"
rotation_jitter   = "5%"
originator_period = "365d"
recipient_period  = "1095d"

archive_after     = "180d"
retire_after      = "0"
min_versions_kept = 2
destroy_delay     = "30d"

compliance = ["nist-800-57/5.3.6"]
