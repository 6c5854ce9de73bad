# PCI DSS 4.0.1, requirement 3.7: keys that protect stored account data.
#
#   vault write keylife/policies/pci document=@pci-dss-4.0.1.hcl

owner       = "payments-key-custodians"
description = "Keys that protect stored account data (cardholder data environment)"

# 3.6.1: strong cryptography.
allowed_types     = ["aes256-gcm96"]
min_strength_bits = 256
deny_after = {
  "aes128-gcm96" = "2024-12-31"
}

# 3.7.4: keys change at the end of their cryptoperiod. At most a year in use, whatever happens.
rotation_period   = "180d"
rotation_jitter   = "2%"
originator_period = "365d"
recipient_period  = "730d"

# Changes happen in the weekly maintenance window: Sundays at 02:00, four hours.
rotation_zone          = "Europe/Berlin"
rotation_window        = "0 2 * * 0"
rotation_window_length = "4h"
staging_time           = "7d"
rollback_window        = "24h"

# 3.7.5: keys are retired, replaced or destroyed when no longer needed, or when their integrity is in doubt.
archive_after          = "365d"
retire_after           = "180d"
quiet_period           = "90d"
destroy_delay          = "90d"
min_versions_kept      = 2
compromised_processing = "deny"
suspended_processing   = "deny"

# 3.7.7, 3.7.8: no unauthorised substitution; custodians answer for what they do.
exportable             = false
allow_plaintext_backup = false
allow_pinned_encrypt   = false
require_reason = [
  "rotate-manual", "promote", "rollback", "hold", "suspend", "resume", "compromise", "archive", "recover", "retire", "restore",
]
reason_pattern = "^(CHG|INC)-[0-9]+: "

compliance = ["pci-dss-4.0.1/3.6.1", "pci-dss-4.0.1/3.7.4", "pci-dss-4.0.1/3.7.5", "pci-dss-4.0.1/3.7.7", "pci-dss-4.0.1/3.7.8"]
