// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package tokens

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/p11"
	"github.com/keylife/vault-plugin-keylife/hsm/token"
)

// What a process is set up by.
const (
	LibrariesEnv = "KEYLIFE_PKCS11_LIBS"     // name=/abs/path,...
	ReservedEnv  = "KEYLIFE_PKCS11_RESERVED" // and the alias in capitals behind it: what the library is initialised with
	PINDirEnv    = "KEYLIFE_PIN_DIR"
	PINEnvPrefix = "KEYLIFE_HSM_PIN"
)

// Library is a PKCS#11 library that mounts may use.
type Library struct {
	Path     string // two aliases of one path are one library
	Reserved string // pReserved of CK_C_INITIALIZE_ARGS
}

// Host is what the mounts of one process share. It is safe for concurrent use, and its fields do not change. The zero Host has
// no library.
type Host struct {
	Registry  *token.Registry
	Libraries map[string]Library // by alias
	Open      func(Library) (cryptoki.Library, error)
	Getenv    func(string) string
	PINDir    string // empty: no PIN is read from a file

	// Exit ends the process, which has calls of a library that do not return; nil: it goes on without that token.
	Exit func(why error)
}

// FromEnvironment returns the host of this process. What is wrong with the environment is left out, and said by the error.
func FromEnvironment(getenv func(string) string) (*Host, error) {
	libraries, err := parseLibraries(getenv(LibrariesEnv))
	for alias, l := range libraries {
		l.Reserved = getenv(ReservedEnv + "_" + strings.ToUpper(strings.ReplaceAll(alias, "-", "_")))
		libraries[alias] = l
	}
	dir := getenv(PINDirEnv)
	if dir != "" && !filepath.IsAbs(dir) {
		err = errors.Join(err, fmt.Errorf("%s: must be an absolute path", PINDirEnv))
		dir = ""
	}
	return &Host{
		Registry: token.NewRegistry(wall{}, rand.Float64), Libraries: libraries, Getenv: getenv, PINDir: dir,
		Open: func(l Library) (cryptoki.Library, error) {
			opened, err := p11.Open(p11.Options{Path: l.Path, Reserved: l.Reserved})
			if errors.Is(err, p11.ErrNotBuilt) {
				err = fmt.Errorf("%w: %w", hsm.ErrNotBuilt, err)
			}
			return opened, err
		},
	}, err
}

// wall is the clock of deadlines and pauses.
type wall struct{}

func (wall) Now() time.Time { return time.Now() }

func (wall) AfterFunc(d time.Duration, f func()) (stop func() bool) { return time.AfterFunc(d, f).Stop }

func parseLibraries(text string) (map[string]Library, error) {
	libraries := map[string]Library{}
	var wrong error
	for _, one := range strings.Split(text, ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		alias, path, ok := strings.Cut(one, "=")
		switch {
		case !ok || !isAlias(alias):
			wrong = errors.Join(wrong, fmt.Errorf("%s: %q: must be name=/absolute/path, the name of small letters, digits and hyphens", LibrariesEnv, one))
		case !filepath.IsAbs(path):
			wrong = errors.Join(wrong, fmt.Errorf("%s: %q: the path must be absolute", LibrariesEnv, one))
		case libraries[alias] != Library{}:
			wrong = errors.Join(wrong, fmt.Errorf("%s: %q: the name is given twice", LibrariesEnv, one))
		default:
			libraries[alias] = Library{Path: path}
		}
	}
	return libraries, wrong
}

func isAlias(name string) bool {
	return name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// Aliases returns the names of the libraries.
func (h *Host) Aliases() []string { return slices.Sorted(maps.Keys(h.Libraries)) }

// CheckPINSource refuses a source of the PIN that is not the operator's to give, by the field that names it.
func (h *Host) CheckPINSource(s Settings) (field, rule string) {
	given := 0
	for _, source := range []string{string(s.PIN), s.PINEnv, s.PINFile} {
		if source != "" {
			given++
		}
	}
	switch {
	case given > 1:
		return "pin", "give one of pin, pin_env and pin_file"
	case s.PINEnv != "" && !strings.HasPrefix(s.PINEnv, PINEnvPrefix):
		return "pin_env", "must begin with " + PINEnvPrefix
	case s.PINFile != "" && h.PINDir == "":
		return "pin_file", PINDirEnv + " is not set: no PIN is read from a file"
	case s.PINFile != "" && !filepath.IsLocal(s.PINFile):
		return "pin_file", "must be a path inside the folder that " + PINDirEnv + " names"
	}
	return "", ""
}

// open returns an opened token. Nothing is asked of it; an error says that it cannot be used, as things are.
func (h *Host) open(s Settings, rewritten bool) (*token.Token, error) {
	library, known := h.Libraries[s.Library]
	if !known {
		return nil, fmt.Errorf("%w: library: %q: no PKCS#11 library has this name in %s", hsm.ErrMisconfigured, s.Library, LibrariesEnv)
	}
	pin, err := h.pin(s)
	if err != nil {
		return nil, err
	}
	defer clear(pin)
	return h.Registry.Open(token.Config{
		Library: library.Path, Load: func() (cryptoki.Library, error) { return h.Open(library) },
		Label: s.Label, Serial: s.Serial, PIN: pin, Rewritten: rewritten, Rejected: !rewritten && !s.PINRejected.IsZero(),
		MaxSessions: s.MaxSessions, CallTimeout: s.CallTimeout, AcquireTimeout: s.AcquireTimeout,
		HealthInterval: s.HealthInterval, Exit: h.Exit,
	})
}

// maxPIN bounds what is read of a file.
const maxPIN = 4096

// pin returns the PIN, for the caller to wipe.
func (h *Host) pin(s Settings) ([]byte, error) {
	if field, rule := h.CheckPINSource(s); field != "" {
		return nil, fmt.Errorf("%w: %s: %s", hsm.ErrMisconfigured, field, rule)
	}
	switch {
	case s.PINEnv != "":
		pin := h.Getenv(s.PINEnv)
		if pin == "" {
			return nil, fmt.Errorf("%w: pin_env: the variable is not set", hsm.ErrMisconfigured)
		}
		return []byte(pin), nil
	case s.PINFile != "":
		return h.pinOfFile(s.PINFile)
	}
	return []byte(s.PIN), nil
}

// pinOfFile reads a file below the operator's folder; no link leads out of it.
func (h *Host) pinOfFile(name string) ([]byte, error) {
	unreadable := fmt.Errorf("%w: pin_file: the file cannot be read", hsm.ErrMisconfigured) // not why: it would tell what is there
	dir, err := os.OpenRoot(h.PINDir)
	if err != nil {
		return nil, unreadable
	}
	defer func() { _ = dir.Close() }()
	file, err := dir.Open(name)
	if err != nil {
		return nil, unreadable
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxPIN))
	pin := bytes.TrimRight(text, "\r\n")
	if err != nil || len(pin) == 0 {
		return nil, unreadable
	}
	return pin, nil
}
