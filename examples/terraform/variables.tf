variable "plugin_sha256" {
  description = "SHA-256 of the plugin binary in the server's plugin_directory; make build prints it"
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.plugin_sha256))
    error_message = "A SHA-256 is 64 lower-case hexadecimal digits."
  }
}

variable "plugin_command" {
  description = "File name of the plugin binary in the server's plugin_directory"
  type        = string
  default     = "vault-plugin-keylife"
}

variable "owner" {
  description = "Who answers for the keys under the policy"
  type        = string
}
