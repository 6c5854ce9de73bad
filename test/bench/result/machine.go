// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package result

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// Machine is where and when a section was measured.
type Machine struct {
	Date  string `json:"date"` // 2006-01-02
	CPU   string `json:"cpu"`
	Cores int    `json:"cores"`
	Go    string `json:"go"`
	Vault string `json:"vault,omitempty"`
}

// ThisMachine asks the server that VAULT_BIN names for its version; where it names none, the machine has no Vault.
func ThisMachine() Machine {
	return Machine{
		Date: time.Now().UTC().Format(time.DateOnly), CPU: cpu(), Cores: runtime.NumCPU(), Go: runtime.Version(), Vault: vault(os.Getenv("VAULT_BIN")),
	}
}

var modelName = regexp.MustCompile(`(?m)^model name\s*: (.*)$`)

func cpu() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if found := modelName.FindSubmatch(text); err == nil && found != nil {
		return string(bytes.TrimSpace(found[1]))
	}
	return "a processor without a name"
}

func vault(binary string) string {
	if binary == "" {
		return ""
	}
	out, err := exec.Command(binary, "version").Output()
	if err != nil {
		return ""
	}
	version, _, _ := strings.Cut(string(out), ",")
	return strings.TrimSpace(version)
}

// String says it in one line.
func (m Machine) String() string {
	text := fmt.Sprintf("Measured %s on %s, %d cores. %s", m.Date, m.CPU, m.Cores, m.Go)
	if m.Vault != "" {
		text += "; " + m.Vault
	}
	return text + "."
}
