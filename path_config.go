// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/keks"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/tokens"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

var (
	fDisableUpsert = vaultapi.Bool("disable_upsert", "Encrypting with a key that does not exist is an error, rather than making it.")
	fPublicJWKS    = vaultapi.Texts("public_jwks", "Keys whose public keys anybody may read on jwks/:name, without a token: names, or what names begin with and a * behind it.")
	fRequirePolicy = vaultapi.Bool("require_policy", "Every new key has a policy, and no key is detached from its policy.")
	fDefaultPolicy = vaultapi.Text("default_policy", "Policy of new keys whose maker names none. It has to exist. Empty: none.")
	fAccessLedger  = vaultapi.Bool("access_ledger", "It is counted which entities use which keys, and what versions are still used for.").Or(true)
	fReviewEvery   = vaultapi.Seconds("access_review_every", "How often somebody has to attest an access review: 1d to 3660d.").Or(int(policy.DefaultReviewEvery / time.Second))
	fScrub         = vaultapi.Int("scrub", "How many stored versions a tick opens and compares with their fingerprint, and ends of chains of custody it looks at: 0 to 64. 0: none.").Or(policy.DefaultScrub)
	fHealthPublic  = vaultapi.Bool("health_public", "Anybody may read on health/live, without a token, in one word how the mount is.")
	fAcknowledge   = vaultapi.Bool("acknowledge", "Believe the clock as it is now.")

	keysAnswer = vaultapi.Answer[lifecycle.KeysSettings]{
		vaultapi.Show(fDisableUpsert, func(s lifecycle.KeysSettings) bool { return s.DisableUpsert }),
		vaultapi.Show(fPublicJWKS, func(s lifecycle.KeysSettings) []string { return append([]string{}, s.PublicJWKS...) }),
	}
	governanceAnswer = vaultapi.Answer[policy.Governance]{
		vaultapi.Show(fRequirePolicy, func(g policy.Governance) bool { return g.RequirePolicy }),
		vaultapi.Show(fDefaultPolicy, func(g policy.Governance) string { return g.DefaultPolicy }),
		vaultapi.Show(fAccessLedger, func(g policy.Governance) bool { return !g.LedgerOff }),
		vaultapi.Show(fReviewEvery, func(g policy.Governance) int { return seconds(g.ReviewInterval()) }),
		vaultapi.Show(fScrub, func(g policy.Governance) int { return g.ScrubMost() }),
		vaultapi.Show(fHealthPublic, func(g policy.Governance) bool { return g.HealthPublic }),
	}
)

// configAPI serves the settings of the mount.
type configAPI struct {
	now func() time.Time
}

func (a configAPI) paths() []path { return []path{a.engineConfig(), a.keysConfig(), a.clock()} }

func (a configAPI) keysConfig() path {
	return path{
		Pattern: "config/keys", Fields: keysAnswer.Fields(fReason),
		Operations: operations{
			logical.UpdateOperation: {
				Handle: a.writeKeys, ID: vaultapi.ID{Verb: "configure", Suffix: "keys"}, Answer: "The configuration.", Fields: keysAnswer.Fields(),
				Summary: "Configure the keys of the mount. Without disable_upsert that gets its default.",
			},
			logical.ReadOperation: {
				Handle: a.readKeys, ID: vaultapi.ID{Verb: "read", Suffix: "keys-configuration"}, Answer: "The configuration.", Fields: keysAnswer.Fields(),
				Summary: "Read the configuration of the mount's keys.",
			},
		},
		Synopsis:    "Configure the keys of the mount.",
		Description: "With disable_upsert, encrypt does not make a key whose name it does not know: a misspelt name is then an error. public_jwks is left as it is where it is not given.",
	}
}

func (configAPI) writeKeys(ctx context.Context, c *request) (*logical.Response, error) {
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	s, err := c.Settings().SetKeys(ctx, engine.KeysChange{
		DisableUpsert: fDisableUpsert.Get(c), PublicJWKS: fPublicJWKS.LookupNonNull(c), Reason: pre.Reason,
	})
	if err != nil {
		return nil, err
	}
	return keysAnswer.Of(s), nil
}

func (configAPI) readKeys(ctx context.Context, c *request) (*logical.Response, error) {
	s, err := c.Settings().Keys(ctx)
	if err != nil {
		return nil, err
	}
	return keysAnswer.Of(s), nil
}

func (a configAPI) engineConfig() path {
	return path{
		Pattern: "config/engine", Mode: vaultapi.Strict, Fields: governanceAnswer.Fields(fReason),
		Operations: operations{
			logical.UpdateOperation: {
				Handle: a.writeEngine, ID: vaultapi.ID{Verb: "configure", Suffix: "engine"}, Answer: "The configuration.", Fields: governanceAnswer.Fields(),
				Summary: "Configure how new keys come under a policy. What is not given stays.",
			},
			logical.ReadOperation: {
				Handle: a.readEngine, ID: vaultapi.ID{Verb: "read", Suffix: "engine-configuration"}, Answer: "The configuration.", Fields: governanceAnswer.Fields(),
				Summary: "Read how new keys come under a policy.",
			},
		},
		Synopsis: "Configure how keys come under a policy.",
		Description: "default_policy is for keys that are made without naming a policy, also by encrypting. With require_policy a key " +
			"without one is refused, and so is detaching a key. Keys that are there already stay as they are.",
	}
}

func (a configAPI) writeEngine(ctx context.Context, c *request) (*logical.Response, error) {
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	change := engine.GovernanceChange{
		RequirePolicy: fRequirePolicy.LookupNonNull(c), DefaultPolicy: fDefaultPolicy.LookupNonNull(c),
		AccessLedger: fAccessLedger.LookupNonNull(c), Scrub: fScrub.LookupNonNull(c), HealthPublic: fHealthPublic.LookupNonNull(c), Reason: pre.Reason,
	}
	if every := fReviewEvery.LookupNonNull(c); every != nil {
		change.ReviewEvery = new(time.Duration)
		*change.ReviewEvery = ofSeconds(*every)
	}
	g, err := c.Settings().SetGovernance(ctx, change)
	if err != nil {
		c.b.unasked.Store(true) // whether it was written is not known
		return nil, err
	}
	c.b.governedBy(g)
	resp := governanceAnswer.Of(g)
	if g.RequirePolicy {
		resp.AddWarning("require_policy is for keys that are made from now on; a key that has no policy stays without one until it is bound")
	}
	return resp, nil
}

func (a configAPI) readEngine(ctx context.Context, c *request) (*logical.Response, error) {
	g, err := c.Settings().Governance(ctx)
	if err != nil {
		return nil, err
	}
	return governanceAnswer.Of(g), nil
}

// clockGuard is what the clock guard knows, and the time by which it says so.
type clockGuard struct {
	lifecycle.Clock
	now    time.Time
	frozen string // why nothing is archived, retired or destroyed; empty: it is
}

var clockAnswer = vaultapi.Answer[clockGuard]{
	vaultapi.Show(vaultapi.Text("now", "The time as this node has it, RFC 3339."), func(g clockGuard) string { return vaultapi.Time(g.now) }),
	vaultapi.Show(vaultapi.Text("high_water_mark", "The latest time that a tick has seen, to within minutes, RFC 3339."),
		func(g clockGuard) string { return vaultapi.Time(g.High) }),
	vaultapi.Show(vaultapi.Bool("frozen", "Nothing is archived, retired or destroyed by the clock."), func(g clockGuard) bool { return g.frozen != "" }),
	vaultapi.Show(vaultapi.Text("why", "Why not."), func(g clockGuard) string { return g.frozen }),
}

func (a configAPI) clock() path {
	help := "The clock guard: whether the clock is believed."
	return path{
		Pattern: "config/clock", Mode: vaultapi.Strict, Fields: vaultapi.FieldsOf(fAcknowledge, fReason),
		Operations: operations{
			logical.ReadOperation: {
				Handle: a.readClock, ID: vaultapi.ID{Verb: "read", Suffix: "clock"}, Summary: "Read the clock guard.",
				Answer: "The clock guard.", Fields: clockAnswer.Fields(),
			},
			logical.UpdateOperation: {
				Handle: a.writeClock, ID: vaultapi.ID{Verb: "acknowledge", Suffix: "clock"}, Summary: "Believe the clock as it is now.",
				Answer: "The clock guard.", Fields: clockAnswer.Fields(),
			},
		},
		Synopsis: help,
		Description: help + " When the clock is more than five minutes behind a time it has shown before, or went on by more than 12 hours " +
			"without ticks, nothing is archived, retired or destroyed by the clock, for a day of good running or until an operator " +
			"acknowledges the time. Rotation goes on. While the clock is behind, nothing is retired by hand either.",
	}
}

func (a configAPI) readClock(ctx context.Context, c *request) (*logical.Response, error) {
	clock, err := c.Settings().Clock(ctx)
	if err != nil {
		return nil, err
	}
	now := a.now()
	_, frozen := clock.Watch(now)
	return clockAnswer.Of(clockGuard{clock, now, frozen}), nil
}

func (a configAPI) writeClock(ctx context.Context, c *request) (*logical.Response, error) {
	if !fAcknowledge.Get(c) {
		return nil, vaultapi.InvalidField(fAcknowledge.Name, false, "must be true")
	}
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	if err := c.Settings().AcknowledgeClock(ctx, pre.Reason); err != nil {
		return nil, err
	}
	return a.readClock(ctx, c)
}

// The settings of the mount's HSM.
var (
	fHSMEnabled  = vaultapi.Bool("enabled", "The HSM wraps new material. If not, it only unwraps what it has wrapped, and software wraps what is new.")
	fLibrary     = vaultapi.Text("library", "The PKCS#11 library, by the name that the operator of the plugin gave it in KEYLIFE_PKCS11_LIBS.")
	fTokenLabel  = vaultapi.Text("token_label", "Label of the token.")
	fTokenSerial = vaultapi.Text("token_serial", "Serial number of the token.")
	fPIN         = vaultapi.Text("pin", "PIN of the token's user. It is never read back.").Secret()
	fPINEnv      = vaultapi.Text("pin_env", "The plugin's environment variable that has the PIN. Its name begins with KEYLIFE_HSM_PIN.")
	fPINFile     = vaultapi.Text("pin_file", "The file that has the PIN, below the folder that KEYLIFE_PIN_DIR names.")
	fMechanism   = vaultapi.Text("mechanism", "How the token wraps: auto, aes-gcm, aes-cbc-hmac or rsa-oaep-hmac. auto takes the first that passes the self-test.")
	fIVMode      = vaultapi.Text("gcm_iv_mode", "Where the IV of AES-GCM comes from: caller, hsm or hsm_appended. It is never found out by trying.")
	fOAEPHash    = vaultapi.Text("rsa_oaep_hash", "Hash of RSA-OAEP: sha256 or sha1.")
	fSessions    = vaultapi.Int("max_sessions", "Sessions that work at a time.")
	fCallTime    = vaultapi.Seconds("call_timeout", "How long a call of the token may take.")
	fAcquireTime = vaultapi.Seconds("acquire_timeout", "How long a request waits for a session, or for the token to be recovered.")
	fGenerate    = vaultapi.Bool("allow_generate_kek", "keylife makes keys on the token. If not, hsm/keks/rotate takes up those that somebody else made.")
	fKEKPeriod   = vaultapi.Seconds("kek_rotation_period", "Time between rotations of the key encryption keys. 0: by hand only.")
	fKEKMinAge   = vaultapi.Seconds("kek_min_age", "How long a key encryption key is kept after it was retired, at least.")
	fCacheTTL    = vaultapi.Seconds("cache_ttl", "How long material that the token wrapped is used from memory. 0: it is unwrapped for each operation.")
	fDegraded    = vaultapi.Text("degraded_mode", "While the token is away, material past cache_ttl is not used (fail_closed), or is used from memory (serve_cached).")
	fMaxAge      = vaultapi.Seconds("degraded_max_age", "How long after it was loaded serve_cached uses material, at most.")
	fHealthTime  = vaultapi.Seconds("health_interval", "How often the token is seen to work, once it is in use.")
	fRandom      = vaultapi.Text("random_source", "Where the random bytes of new material come from: os, hsm or mixed.")
	fRandomRule  = vaultapi.Text("random_policy", "Where the token gives no random bytes: require refuses, prefer takes those of the operating system.")
	fPINSet      = vaultapi.Bool("pin_set", "A PIN is stored, or named by pin_env or pin_file.")
	fPINUpdated  = vaultapi.Text("pin_updated_time", "When the PIN was set last, RFC 3339.")
	fPINRejected = vaultapi.Text("pin_rejected_time", "When the token was seen to reject the PIN, RFC 3339. No login is tried until config/hsm is written.")
)

// hsmSettings are the fields that a request sets.
var hsmSettings = []vaultapi.Declared{
	fHSMEnabled, fLibrary, fTokenLabel, fTokenSerial, fPIN, fPINEnv, fPINFile, fMechanism, fIVMode, fOAEPHash, fSessions, fCallTime,
	fAcquireTime, fGenerate, fKEKPeriod, fKEKMinAge, fCacheTTL, fDegraded, fMaxAge, fHealthTime, fRandom, fRandomRule,
}

var hsmAnswer = vaultapi.Answer[tokens.Settings]{
	vaultapi.Show(fHSMEnabled, func(s tokens.Settings) bool { return s.Enabled }),
	vaultapi.Show(fLibrary, func(s tokens.Settings) string { return s.Library }),
	vaultapi.Show(fTokenLabel, func(s tokens.Settings) string { return s.Label }),
	vaultapi.Show(fTokenSerial, func(s tokens.Settings) string { return s.Serial }),
	vaultapi.Show(fPINSet, func(s tokens.Settings) bool { return s.PIN != "" || s.PINEnv != "" || s.PINFile != "" }),
	vaultapi.Show(fPINEnv, func(s tokens.Settings) string { return s.PINEnv }),
	vaultapi.Show(fPINFile, func(s tokens.Settings) string { return s.PINFile }),
	vaultapi.Show(fPINUpdated, func(s tokens.Settings) string { return vaultapi.Time(s.PINUpdated) }),
	vaultapi.Show(fPINRejected, func(s tokens.Settings) string { return vaultapi.Time(s.PINRejected) }),
	vaultapi.Show(fMechanism, func(s tokens.Settings) string { return string(s.Mechanism) }),
	vaultapi.Show(fIVMode, func(s tokens.Settings) string { return string(s.IVMode) }),
	vaultapi.Show(fOAEPHash, func(s tokens.Settings) string { return string(s.OAEPHash) }),
	vaultapi.Show(fSessions, func(s tokens.Settings) int { return s.MaxSessions }),
	vaultapi.Show(fCallTime, func(s tokens.Settings) int { return seconds(s.CallTimeout) }),
	vaultapi.Show(fAcquireTime, func(s tokens.Settings) int { return seconds(s.AcquireTimeout) }),
	vaultapi.Show(fGenerate, func(s tokens.Settings) bool { return s.AllowGenerate }),
	vaultapi.Show(fKEKPeriod, func(s tokens.Settings) int { return seconds(s.RotationPeriod) }),
	vaultapi.Show(fKEKMinAge, func(s tokens.Settings) int { return seconds(s.MinAge) }),
	vaultapi.Show(fCacheTTL, func(s tokens.Settings) int { return seconds(s.CacheTTL) }),
	vaultapi.Show(fDegraded, func(s tokens.Settings) string { return string(s.DegradedMode) }),
	vaultapi.Show(fMaxAge, func(s tokens.Settings) int { return seconds(s.DegradedMaxAge) }),
	vaultapi.Show(fHealthTime, func(s tokens.Settings) int { return seconds(s.HealthInterval) }),
	vaultapi.Show(fRandom, func(s tokens.Settings) string { return string(s.RandomSource) }),
	vaultapi.Show(fRandomRule, func(s tokens.Settings) string { return string(s.RandomPolicy) }),
}

func seconds(d time.Duration) int { return int(d / time.Second) }

func ofSeconds(n int) time.Duration { return time.Duration(n) * time.Second }

func set[T any](c *request, f vaultapi.Field[T], at *T) {
	setAs(c, f, at, func(v T) T { return v })
}

func setAs[T, U any](c *request, f vaultapi.Field[T], at *U, of func(T) U) {
	if given := f.LookupNonNull(c); given != nil {
		*at = of(*given)
	}
}

func (a hsmAPI) config() path {
	return path{
		Pattern: "config/hsm", Mode: vaultapi.Strict, Fields: vaultapi.FieldsOf(append(hsmSettings, fReason)...),
		Operations: operations{
			logical.UpdateOperation: {
				Handle: a.write, ID: vaultapi.ID{Verb: "configure", Suffix: "hsm"}, Answer: "The configuration.", Fields: hsmAnswer.Fields(fSuite, fRejected),
				Summary: "Configure the HSM that wraps the material of the mount. What is not given stays.",
			},
			logical.ReadOperation: {
				Handle: a.read, ID: vaultapi.ID{Verb: "read", Suffix: "hsm-configuration"}, Answer: "The configuration, without the PIN.", Fields: hsmAnswer.Fields(),
				Summary: "Read the configuration of the HSM.",
			},
			logical.DeleteOperation: {
				Handle: a.remove, ID: vaultapi.ID{Verb: "delete", Suffix: "hsm-configuration"},
				Summary: "Take the HSM away from the mount. Refused while anything is wrapped by a key on it.",
			},
		},
		Synopsis: "Configure the HSM of the mount.",
		Description: "The token has to pass a self-test first, and to hold the keys that the mount has on it already. Then keylife makes a key for the " +
			"material in use and one for the archive, unless allow_generate_kek is false, and wraps with them from then on. One PIN is used for a token " +
			"by all mounts of a process. A PIN that the token rejects is not tried again until this is written.",
	}
}

func (hsmAPI) write(ctx context.Context, c *request) (*logical.Response, error) {
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	found, err := c.KEKs().Configure(ctx, changeOf(c), pre.Reason)
	if err != nil {
		return nil, err
	}
	h, err := c.KEKs().Read(ctx)
	if err != nil {
		return nil, err
	}
	resp := hsmAnswer.Of(h.Settings)
	showChoice(resp, found)
	return resp, nil
}

// showChoice adds what the self-test has found.
func showChoice(resp *logical.Response, found keks.Test) {
	suite, rejected := "", []map[string]any{}
	if found.Choice.Suite != 0 {
		suite = found.Choice.Suite.String()
	}
	for _, r := range found.Choice.Rejected {
		rejected = append(rejected, map[string]any{"suite": r.Suite.String(), "reason": r.Reason})
	}
	resp.Data[fSuite.Name], resp.Data[fRejected.Name] = suite, rejected
}

func (hsmAPI) read(ctx context.Context, c *request) (*logical.Response, error) {
	h, err := c.KEKs().Read(ctx)
	if err != nil {
		return nil, err
	}
	return hsmAnswer.Of(h.Settings), nil
}

func (hsmAPI) remove(ctx context.Context, c *request) (*logical.Response, error) {
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	left, err := c.KEKs().Delete(ctx, pre.Reason)
	if err != nil || left == 0 {
		return nil, err
	}
	resp := &logical.Response{}
	resp.AddWarning("retired keys stay on the token: they can be destroyed once it is configured again")
	return resp, nil
}

func (a hsmAPI) test() path {
	help := "Test an HSM without configuring it."
	return path{
		Pattern: "config/hsm/test", ID: vaultapi.ID{Verb: "test", Suffix: "hsm"}, Mode: vaultapi.Strict, Fields: vaultapi.FieldsOf(hsmSettings...),
		Operations: operations{logical.UpdateOperation: {
			Handle: a.try, Summary: help, Answer: "What the token was found to be able to.",
			Fields: vaultapi.FieldsOf(fTokenLabel, fTokenSerial, fManufacturer, fModel, fSuite, fRejected),
		}},
		Synopsis:    help,
		Description: "What is not given is as config/hsm has it. Keys are made on the token for the test, and destroyed after it. Where the PIN is another, requests that need the HSM get a 503 meanwhile.",
	}
}

var (
	fManufacturer = vaultapi.Text("manufacturer", "Who made the token.")
	fModel        = vaultapi.Text("model", "Model of the token.")
)

func (hsmAPI) try(ctx context.Context, c *request) (*logical.Response, error) {
	found, err := c.KEKs().Test(ctx, changeOf(c))
	if err != nil {
		return nil, err
	}
	resp := vaultapi.Data(fTokenLabel.Is(found.Token.Label), fTokenSerial.Is(found.Token.Serial), fManufacturer.Is(found.Token.Manufacturer), fModel.Is(found.Token.Model))
	showChoice(resp, found)
	return resp, nil
}
