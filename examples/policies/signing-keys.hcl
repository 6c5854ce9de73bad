# Keys whose new versions have to be known to others before they are used, as the public key of a signing key has: each one
# is staged for two weeks, then promoted on a working day. Old versions go on verifying.
#
#   vault write keylife/policies/signing document=@signing-keys.hcl

owner       = "release-engineering"
description = "Keys with a new version announced two weeks before it is used"

min_strength_bits = 128

# On the first of January, April, July and October, at nine in the morning.
rotation_schedule = "0 9 1 1,4,7,10 *"
rotation_zone     = "Europe/Berlin"
rotation_jitter   = "0%"
staging_time      = "14d"
rollback_window   = "72h"

# Staged and promoted from Monday to Thursday between nine and three: people are there.
rotation_window        = "0 9 * * 1-4"
rotation_window_length = "6h"

# SP 800-57 Part 1 Rev 5, 5.3.6: a private signature key at most three years; verifying has no end here.
originator_period = "400d"
recipient_period  = "0"
archive_after     = "0"
retire_after      = "0"
min_versions_kept = 8

max_encryptions = 0

require_reason = ["rotate-manual", "promote", "rollback", "suspend", "compromise", "retire", "recover", "restore"]
compliance     = ["nist-800-57/5.3.6"]
