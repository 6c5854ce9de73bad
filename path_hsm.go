// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/token"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/keks"
	"github.com/keylife/vault-plugin-keylife/internal/keyring"
	"github.com/keylife/vault-plugin-keylife/internal/scheduler"
	"github.com/keylife/vault-plugin-keylife/internal/tokens"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

// What is known of keys on tokens.
var (
	fKEKID      = vaultapi.Text("id", "Id of the key encryption key, 32 hex digits. Stored material names it.")
	fPurpose    = vaultapi.Text("purpose", "What the key wraps: use, the material in use, or archive.")
	fPurposeNew = vaultapi.Text("purpose", "Which key is replaced: use, archive, or empty: both.")
	fKEKState   = vaultapi.Text("state", "pending, active, decrypt_only, retired or destroyed.")
	fConfirm    = vaultapi.Text("confirm", "The id of the key once more.")
	fKEKLabel   = vaultapi.Text("kek_label", "Label of a key that is on the token, to take up instead of making one.")
	fKEKCKAID   = vaultapi.Text("kek_id", "CKA_ID of it, in hex.")
	fMACLabel   = vaultapi.Text("mac_label", "Label of the key for HMAC beside it. The mechanisms with HMAC need one.")
	fMACID      = vaultapi.Text("mac_id", "CKA_ID of the key for HMAC, in hex.")
	fSuite      = vaultapi.Text("suite", "How the token wraps.")
	fRejected   = vaultapi.List("rejected", "The other ways, and why they were not taken.")
	fActive     = vaultapi.Object("active", "Id of the key that wraps, by purpose. A purpose that is missing is wrapped by software.")
	fHSMState   = vaultapi.Text("state", "not_configured, unknown (nothing has asked for it yet), healthy, degraded, unavailable, pin_rejected or kek_missing.")
	fConfigured = vaultapi.Bool("configured", "An HSM is configured.")
)

var kekAnswer = vaultapi.Answer[keyring.TokenKEK]{
	vaultapi.Show(fKEKID, func(k keyring.TokenKEK) string { return hex.EncodeToString(k.ID[:]) }),
	vaultapi.Show(fPurpose, func(k keyring.TokenKEK) string { return k.Purpose }),
	vaultapi.Show(fKEKState, func(k keyring.TokenKEK) string { return string(k.State) }),
	vaultapi.Show(fSuite, func(k keyring.TokenKEK) string { return k.Suite.String() }),
	vaultapi.Show(vaultapi.Text("label", "CKA_LABEL on the token."), func(k keyring.TokenKEK) string { return k.Label }),
	vaultapi.Show(vaultapi.Text("cka_id", "CKA_ID on the token, in hex."), func(k keyring.TokenKEK) string { return hex.EncodeToString(k.CKAID) }),
	vaultapi.Show(fTokenSerial, func(k keyring.TokenKEK) string { return k.Serial }),
	vaultapi.Show(vaultapi.Text("fingerprint", "Names the key by what only it opens."), func(k keyring.TokenKEK) string { return k.Fingerprint() }),
	vaultapi.Show(vaultapi.Bool("adopted", "Somebody else made it: keylife never destroys it on the token."), func(k keyring.TokenKEK) bool { return k.Adopted }),
	vaultapi.Show(vaultapi.Bool("on_token", "It was not seen off the token."), func(k keyring.TokenKEK) bool { return !k.Gone }),
	vaultapi.Show(vaultapi.Text("created_time", "When it was made or taken up, RFC 3339."), func(k keyring.TokenKEK) string { return vaultapi.Time(k.Created) }),
	vaultapi.Show(vaultapi.Text("activated_time", "Since when it wrapped, RFC 3339."), func(k keyring.TokenKEK) string { return vaultapi.Time(k.Activated) }),
	vaultapi.Show(vaultapi.Text("deactivated_time", "Until when it wrapped, RFC 3339."), func(k keyring.TokenKEK) string { return vaultapi.Time(k.Deactivated) }),
	vaultapi.Show(vaultapi.Text("retired_time", "When it was retired, RFC 3339."), func(k keyring.TokenKEK) string { return vaultapi.Time(k.Retired) }),
	vaultapi.Show(vaultapi.Text("destroyed_time", "When its destruction was decided, RFC 3339."), func(k keyring.TokenKEK) string { return vaultapi.Time(k.Destroyed) }),
	vaultapi.Show(vaultapi.Int("wraps", "How often it has wrapped, as of the last tick. The tick replaces it at 2^31."), func(k keyring.TokenKEK) int { return int(min(k.Wraps, math.MaxInt)) }),
	vaultapi.Show(vaultapi.Strings("warnings", "What the token lets the key do beyond what it is for."), func(k keyring.TokenKEK) []string { return slices.Concat([]string{}, k.Warnings) }),
}

var kekRows = kekAnswer.Only("purpose", "state", "suite", "token_serial", "created_time", "activated_time", "deactivated_time", "wraps")

// hsmStatus is what this node knows of the HSM.
type hsmStatus struct {
	keks.Status
	degradedSince time.Time
	servedCached  uint64
	fallbacks     uint64
}

var statusAnswer = vaultapi.Answer[hsmStatus]{
	vaultapi.Show(fConfigured, func(s hsmStatus) bool { return s.Configured }),
	vaultapi.Show(fHSMEnabled, func(s hsmStatus) bool { return s.Configured && s.Settings.Enabled }),
	vaultapi.Show(fHSMState, func(s hsmStatus) string { return stateOf(s.Status) }),
	vaultapi.Show(vaultapi.Text("since", "Since when it is in this state, RFC 3339."), func(s hsmStatus) string { return vaultapi.Time(s.Health.Since) }),
	vaultapi.Show(vaultapi.Text("last_error", "The last error of the token, also where it is over."), func(s hsmStatus) string { return s.Health.LastError }),
	vaultapi.Show(vaultapi.Text("next_attempt_time", "No recovery is tried before, RFC 3339."), func(s hsmStatus) string { return vaultapi.Time(s.Health.Next) }),
	vaultapi.Show(fPINRejected, func(s hsmStatus) string { return vaultapi.Time(s.Settings.PINRejected) }),
	vaultapi.Show(fActive, func(s hsmStatus) map[string]any { return activeOf(s.Status) }),
	vaultapi.Show(vaultapi.Int("logins", "C_Login calls of this process."), func(s hsmStatus) int { return s.Health.Logins }),
	vaultapi.Show(vaultapi.Int("relogins", "Connections after the first."), func(s hsmStatus) int { return s.Health.Relogins }),
	vaultapi.Show(vaultapi.Int("reinitializations", "C_Finalize with C_Initialize."), func(s hsmStatus) int { return s.Health.Reinits }),
	vaultapi.Show(vaultapi.Int("timeouts", "Calls that outlived call_timeout."), func(s hsmStatus) int { return s.Health.Timeouts }),
	vaultapi.Show(vaultapi.Int("stuck", "Of those, the ones that have not returned."), func(s hsmStatus) int { return s.Health.Stuck }),
	vaultapi.Show(vaultapi.Int("sessions", "Open sessions."), func(s hsmStatus) int { return s.Health.Sessions }),
	vaultapi.Show(vaultapi.Text("degraded_since", "Since when material is used past cache_ttl because the token is away, RFC 3339. Empty: it is not."),
		func(s hsmStatus) string { return vaultapi.Time(s.degradedSince) }),
	vaultapi.Show(vaultapi.Int64("served_cached", "Uses of material past cache_ttl since this process began."), func(s hsmStatus) int64 { return int64(s.servedCached) }),
	vaultapi.Show(vaultapi.Int64("random_fallbacks", "How often random_policy=prefer took random bytes of the operating system, since this process began."),
		func(s hsmStatus) int64 { return int64(s.fallbacks) }),
}

// fRewraps and fRewrapping are about what is being wrapped anew.
var (
	fRewraps = vaultapi.Object("rewraps", "By purpose: how far what is stored has been wrapped anew with the active key (kek, done: versions; left: "+
		"keys that the pass has still to look at; pass, failed, started_time, last_error). A purpose that is missing has come to its end.")
	fRewrapping = vaultapi.Strings("rewrapping", "The same as sentences. Empty: everything is wrapped with the active keys.")
)

func rewrapRow(r scheduler.RewrapStatus) map[string]any {
	return map[string]any{
		"kek": hex.EncodeToString(r.KEK[:]), "done": r.Done, "left": r.Remaining, "pass": r.Pass, "failed": r.Failed,
		"started_time": vaultapi.Time(r.Started), "last_error": lastError(r),
	}
}

// lastError is why the last tick stopped or, of versions that could not be wrapped, what was the matter with the first.
func lastError(r scheduler.RewrapStatus) string {
	if r.Stopped == "" && len(r.Failures) > 0 {
		return fmt.Sprintf("%s version %d: %s", r.Failures[0].Key, r.Failures[0].Version, r.Failures[0].Why)
	}
	return r.Stopped
}

func rewrapText(r scheduler.RewrapStatus) string {
	text := fmt.Sprintf("%s: %d versions wrapped since %s, %d keys left in pass %d", r.Purpose, r.Done, vaultapi.Time(r.Started), r.Remaining, r.Pass)
	if r.Failed > 0 {
		text += fmt.Sprintf(", %d failed", r.Failed)
	}
	if why := lastError(r); why != "" {
		text += "; last error: " + why
	}
	return text
}

func stateOf(s keks.Status) string {
	switch {
	case !s.Configured:
		return "not_configured"
	case !s.Settings.PINRejected.IsZero():
		return string(token.PINRejected)
	}
	return string(s.Health.State)
}

func activeOf(s keks.Status) map[string]any {
	active := map[string]any{}
	for _, purpose := range keks.Purposes {
		if k, ok := s.ActiveOf(purpose); ok {
			active[purpose] = hex.EncodeToString(k.ID[:])
		}
	}
	return active
}

// hsmAPI serves the HSM of the mount.
type hsmAPI struct{}

func (a hsmAPI) paths() []path {
	return []path{a.config(), a.test(), a.list(), a.rotate(), a.retire(), a.destroy(), a.kek(), a.status()}
}

func (a hsmAPI) list() path {
	return tableOf("hsm/keks", vaultapi.Strict, "By key: its purpose and state, and when it wrapped.", a.keks)
}

func (hsmAPI) keks(ctx context.Context, c *request) (*logical.Response, error) {
	status, err := c.KEKs().Status(ctx)
	if err != nil {
		return nil, err
	}
	of := map[string]keyring.TokenKEK{}
	names := []string{}
	for _, k := range status.KEKs {
		name := hex.EncodeToString(k.ID[:])
		of[name], names = k, append(names, name)
	}
	slices.Sort(names)
	listing, err := vaultapi.ListNames(c, names)
	if err != nil {
		return nil, err
	}
	return vaultapi.Table(ctx, listing, kekRows, func(name string) (*keyring.TokenKEK, error) {
		k := of[name]
		return &k, nil
	})
}

func (a hsmAPI) rotate() path {
	help := "Put new key encryption keys in force; those before only unwrap from then on."
	return path{
		Pattern: "hsm/keks/rotate", ID: vaultapi.ID{Verb: "rotate", Suffix: "hsm-keks"}, Mode: vaultapi.Strict,
		Fields:     vaultapi.FieldsOf(fPurposeNew, fKEKLabel, fKEKCKAID, fMACLabel, fMACID, fReason),
		Operations: operations{logical.UpdateOperation: {Handle: a.renew, Summary: help, Answer: "The keys in force.", Fields: vaultapi.FieldsOf(fActive)}},
		Synopsis:   help,
		Description: "keylife makes the keys on the token, unless kek_label or kek_id names one that is there. That one must be non-extractable and sensitive, " +
			"and for one purpose.",
	}
}

func (hsmAPI) renew(ctx context.Context, c *request) (*logical.Response, error) {
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	r := keks.Rotation{Purpose: fPurposeNew.Get(c), Reason: pre.Reason}
	if r.Purpose != "" && !slices.Contains(keks.Purposes, r.Purpose) {
		return nil, vaultapi.InvalidField(fPurposeNew.Name, r.Purpose, "must be "+envelope.PurposeOnline+" or "+envelope.PurposeArchive)
	}
	existing := hsm.Existing{Label: fKEKLabel.Get(c), MACLabel: fMACLabel.Get(c)}
	if existing.CKAID, err = hexOf(c, fKEKCKAID); err == nil {
		existing.MACID, err = hexOf(c, fMACID)
	}
	switch {
	case err != nil:
		return nil, err
	case existing.Label != "" || len(existing.CKAID) > 0:
		r.Adopt = &existing
	case existing.MACLabel != "" || len(existing.MACID) > 0:
		return nil, vaultapi.InvalidField(fKEKLabel.Name, "", "a key for HMAC goes with kek_label or kek_id")
	}
	h, err := c.KEKs().Rotate(ctx, r)
	if err != nil {
		return nil, err
	}
	return vaultapi.Data(fActive.Is(activeOf(keks.Status{HSM: h}))), nil
}

func hexOf(c *request, f vaultapi.Field[string]) ([]byte, error) {
	id, err := hex.DecodeString(f.Get(c))
	if err != nil {
		return nil, vaultapi.InvalidField(f.Name, f.Get(c), "must be in hex")
	}
	return id, nil
}

// oneKEK is the part of a pattern that is the id of a key.
var oneKEK = framework.GenericNameRegex(fKEKID.Name)

func idOf(c *request) (id [16]byte, err error) {
	raw, err := hex.DecodeString(fKEKID.Get(c))
	if err != nil || len(raw) != len(id) {
		return id, vaultapi.InvalidField(fKEKID.Name, fKEKID.Get(c), "must have 32 hex digits")
	}
	return [16]byte(raw), nil
}

func (a hsmAPI) kek() path {
	help := "Read a key encryption key: where it is, its state and dates. Never the key."
	return path{
		Pattern: "hsm/keks/" + oneKEK, ID: vaultapi.ID{Suffix: "hsm-kek"}, Mode: vaultapi.Strict, Fields: vaultapi.FieldsOf(fKEKID),
		Operations: operations{logical.ReadOperation: {Handle: a.readKEK, Summary: help, Answer: "The key encryption key.", Fields: kekAnswer.Fields()}},
		Synopsis:   help, Description: help + " Those that were destroyed stay in the list.",
	}
}

func (hsmAPI) readKEK(ctx context.Context, c *request) (*logical.Response, error) {
	id, err := idOf(c)
	if err != nil {
		return nil, err
	}
	k, err := c.KEKs().KEK(ctx, id)
	if err != nil {
		return nil, err
	}
	return kekAnswer.Of(k), nil
}

func (a hsmAPI) retire() path {
	help := "Retire a key encryption key by which nothing is wrapped any more."
	return a.ending("retire", help, "It still unwraps, should anything turn up, until it is destroyed.", nil, a.doRetire)
}

func (a hsmAPI) destroy() path {
	help := "Destroy a retired key encryption key on the token."
	return a.ending("destroy", help, "Not before kek_min_age is over since it was retired, and not while anything is wrapped by it. What older copies of the "+
		"storage hold under it, such as a snapshot, is lost. A key that somebody else made stays on the token.", []vaultapi.Declared{fConfirm}, a.doDestroy)
}

func (hsmAPI) ending(verb, help, more string, fields []vaultapi.Declared, handle handler) path {
	return path{
		Pattern: "hsm/keks/" + oneKEK + "/" + verb, ID: vaultapi.ID{Verb: verb, Suffix: "hsm-kek"}, Mode: vaultapi.Strict,
		Fields:     vaultapi.FieldsOf(append(fields, fKEKID, fReason)...),
		Operations: operations{logical.UpdateOperation: {Handle: handle, Summary: help, Answer: "The key encryption key.", Fields: kekAnswer.Fields()}},
		Synopsis:   help, Description: help + " " + more,
	}
}

func (hsmAPI) doRetire(ctx context.Context, c *request) (*logical.Response, error) {
	return endKEK(ctx, c, c.KEKs().Retire)
}

func (hsmAPI) doDestroy(ctx context.Context, c *request) (*logical.Response, error) {
	if fConfirm.Get(c) != fKEKID.Get(c) {
		return nil, vaultapi.InvalidField(fConfirm.Name, fConfirm.Get(c), "must be the id of the key")
	}
	return endKEK(ctx, c, c.KEKs().Destroy)
}

func endKEK(
	ctx context.Context, c *request, do func(ctx context.Context, id [16]byte, reason string) (keyring.TokenKEK, error),
) (*logical.Response, error) {
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	id, err := idOf(c)
	if err != nil {
		return nil, err
	}
	k, err := do(ctx, id, pre.Reason)
	if err != nil {
		return nil, err
	}
	return kekAnswer.Of(k), nil
}

func (a hsmAPI) status() path {
	help := "Read how the HSM is."
	return path{
		Pattern: "hsm/status", ID: vaultapi.ID{Suffix: "hsm-status"}, Mode: vaultapi.Strict,
		Operations: operations{logical.ReadOperation: {Handle: a.readStatus, Summary: help, Answer: "The state of the HSM, as this node knows it.", Fields: statusAnswer.Fields(fRewraps, fRewrapping)}},
		Synopsis:   help, Description: help + " The HSM is not asked for it: the state is that of the last call, or of the last tick.",
	}
}

func (hsmAPI) readStatus(ctx context.Context, c *request) (*logical.Response, error) {
	status, err := c.KEKs().Status(ctx)
	if err != nil {
		return nil, err
	}
	since, served := c.b.plane.Outage()
	open, err := c.Scheduler().RewrapStatus(ctx)
	if err != nil {
		return nil, err
	}
	resp, of, texts := statusAnswer.Of(hsmStatus{status, since, served, c.b.keyring.RandomFallbacks()}), map[string]any{}, []string{}
	for _, r := range open {
		of[r.Purpose], texts = rewrapRow(r), append(texts, rewrapText(r))
	}
	resp.Data[fRewraps.Name], resp.Data[fRewrapping.Name] = of, texts
	return resp, nil
}

// changeOf is what a request asks to set. What is not given stays; where the PIN comes from is one thing.
func changeOf(c *request) keks.Change {
	return func(s tokens.Settings) (next tokens.Settings, pin bool) {
		pin = fPIN.LookupNonNull(c) != nil || fPINEnv.LookupNonNull(c) != nil || fPINFile.LookupNonNull(c) != nil
		if pin {
			s.PIN, s.PINEnv, s.PINFile = tokens.PIN(fPIN.Get(c)), fPINEnv.Get(c), fPINFile.Get(c)
		}
		set(c, fHSMEnabled, &s.Enabled)
		set(c, fLibrary, &s.Library)
		set(c, fTokenLabel, &s.Label)
		set(c, fTokenSerial, &s.Serial)
		setAs(c, fMechanism, &s.Mechanism, func(text string) hsm.Mechanism { return hsm.Mechanism(text) })
		setAs(c, fIVMode, &s.IVMode, func(text string) hsm.IVMode { return hsm.IVMode(text) })
		setAs(c, fOAEPHash, &s.OAEPHash, func(text string) tokens.Hash { return tokens.Hash(text) })
		set(c, fSessions, &s.MaxSessions)
		setAs(c, fCallTime, &s.CallTimeout, ofSeconds)
		setAs(c, fAcquireTime, &s.AcquireTimeout, ofSeconds)
		set(c, fGenerate, &s.AllowGenerate)
		setAs(c, fKEKPeriod, &s.RotationPeriod, ofSeconds)
		setAs(c, fKEKMinAge, &s.MinAge, ofSeconds)
		setAs(c, fCacheTTL, &s.CacheTTL, ofSeconds)
		setAs(c, fDegraded, &s.DegradedMode, func(text string) tokens.DegradedMode { return tokens.DegradedMode(text) })
		setAs(c, fMaxAge, &s.DegradedMaxAge, ofSeconds)
		setAs(c, fHealthTime, &s.HealthInterval, ofSeconds)
		setAs(c, fRandom, &s.RandomSource, func(text string) hsm.RandomSource { return hsm.RandomSource(text) })
		setAs(c, fRandomRule, &s.RandomPolicy, func(text string) hsm.RandomPolicy { return hsm.RandomPolicy(text) })
		return s, pin
	}
}
