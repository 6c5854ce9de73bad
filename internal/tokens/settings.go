// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package tokens

import (
	"fmt"
	"io"
	"time"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// PIN is the PIN of a token's user. It is never printed.
type PIN string

// Format keeps the PIN out of logs and errors, whatever the verb.
func (p PIN) Format(f fmt.State, _ rune) {
	if p != "" {
		_, _ = io.WriteString(f, "[redacted]")
	}
}

// Hash is the hash of RSA-OAEP.
type Hash string

// The hashes. Many tokens know SHA-1 only, which OAEP does not rest on.
const (
	SHA256 Hash = "sha256"
	SHA1   Hash = "sha1"
)

// DegradedMode is what becomes of material in memory that is past its time, while the token is away.
type DegradedMode string

// The modes.
const (
	FailClosed  DegradedMode = "fail_closed"  // it is not used
	ServeCached DegradedMode = "serve_cached" // it is used, until DegradedMaxAge after it was loaded
)

// Settings say which token a mount uses, and how. Two that are equal are the same use.
type Settings struct {
	Enabled bool `json:"enabled"` // new material is wrapped by the token

	Library string `json:"library"` // an alias of the operator's
	Label   string `json:"token_label"`
	Serial  string `json:"token_serial"`

	PIN        PIN       `json:"pin"`      // secret; or
	PINEnv     string    `json:"pin_env"`  // the variable that has it, or
	PINFile    string    `json:"pin_file"` // the file that does
	PINUpdated time.Time `json:"pin_updated"`

	Mechanism hsm.Mechanism `json:"mechanism"`
	IVMode    hsm.IVMode    `json:"gcm_iv_mode"`
	OAEPHash  Hash          `json:"rsa_oaep_hash"`

	MaxSessions    int           `json:"max_sessions"`
	CallTimeout    time.Duration `json:"call_timeout"`
	AcquireTimeout time.Duration `json:"acquire_timeout"`

	AllowGenerate  bool          `json:"allow_generate_kek"`
	RotationPeriod time.Duration `json:"kek_rotation_period"` // of key encryption keys; 0: by hand only
	MinAge         time.Duration `json:"kek_min_age"`         // between the retirement of one and its destruction

	CacheTTL       time.Duration `json:"cache_ttl"` // of material that the token wrapped; 0: it is unwrapped for each operation
	DegradedMode   DegradedMode  `json:"degraded_mode"`
	DegradedMaxAge time.Duration `json:"degraded_max_age"`
	HealthInterval time.Duration `json:"health_interval"`

	RandomSource hsm.RandomSource `json:"random_source"`
	RandomPolicy hsm.RandomPolicy `json:"random_policy"`

	// PINRejected is when the token was seen to reject this PIN; zero: it was not. No login is tried until somebody writes the
	// settings, also not by another process: tokens lock.
	PINRejected time.Time `json:"pin_rejected"`
}

// Defaults are the settings that a request need not give.
func Defaults() Settings {
	return Settings{
		Enabled: true, Mechanism: hsm.Auto, IVMode: hsm.IVCaller, OAEPHash: SHA256, MaxSessions: 8,
		CallTimeout: 5 * time.Second, AcquireTimeout: 5 * time.Second, AllowGenerate: true, MinAge: 24 * time.Hour,
		CacheTTL: 5 * time.Minute, DegradedMode: FailClosed, DegradedMaxAge: time.Hour, HealthInterval: 30 * time.Second,
		RandomSource: hsm.RandomOS, RandomPolicy: hsm.RandomRequire,
	}
}

// Options are what the settings say of suites.
func (s Settings) Options() hsm.Options {
	o := hsm.Options{Mechanism: s.Mechanism, IVMode: s.IVMode}
	if s.OAEPHash == SHA1 {
		o.OAEPHash = cryptoki.SHA1
	}
	return o
}

// Connection are the settings without what does not matter to the connection with the token.
func (s Settings) Connection() Settings {
	return Settings{
		Library: s.Library, Label: s.Label, Serial: s.Serial, PIN: s.PIN, PINEnv: s.PINEnv, PINFile: s.PINFile,
		PINUpdated: s.PINUpdated, MaxSessions: s.MaxSessions, CallTimeout: s.CallTimeout, AcquireTimeout: s.AcquireTimeout,
		PINRejected: s.PINRejected,
	}
}
