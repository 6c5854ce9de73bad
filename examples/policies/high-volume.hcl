# High volume: very many encryptions under one key. The usage limit rotates long before 2^32 random nonces; the clock
# rotates weekly, at night, and old versions leave early, because data lives for days only.
#
#   vault write keylife/policies/high-volume document=@high-volume.hcl

owner       = "data-platform"
description = "Event streams: a week in use, then a month to read"

allowed_types     = ["aes256-gcm96"]
min_strength_bits = 256

rotation_period = "7d"
rotation_jitter = "10%"

# SP 800-38D, 8.3: at most 2^32 encryptions with random nonces; a quarter of that here, or 64 TiB.
max_encryptions = 1073741824
max_bytes       = 70368744177664
on_limit        = "rotate"

rotation_retry_base   = "30s"
rotation_retry_max    = "15m"
rotation_retry_cycles = 8

originator_period = "30d"
recipient_period  = "60d"
archive_after     = "30d"
retire_after      = "14d"
quiet_period      = "14d"
destroy_delay     = "7d"
min_versions_kept = 3

require_reason = ["suspend", "compromise", "retire", "recover", "restore", "rollback"]
compliance     = ["nist-800-38d/8.3"]
