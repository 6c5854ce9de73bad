# What scrapes the metrics, such as Prometheus. It learns the names of keys that need somebody, and of policies; nothing else.
#
#   vault policy write keylife-metrics metrics.hcl

path "keylife/metrics" {
  capabilities = ["read"]
}
