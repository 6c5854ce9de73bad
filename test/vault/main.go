// Command vault is HashiCorp's Vault server and CLI, built from its published module so that the
// acceptance tests and `make dev` have a real server on machines where none is packaged.
//
// Vault is BUSL-1.1: this binary is for development and tests only and is never distributed.
package main

import (
	"os"

	"github.com/hashicorp/vault/command"
)

func main() {
	os.Exit(command.Run(os.Args[1:]))
}
