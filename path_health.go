// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

const (
	livePath     = "health/live"   // answered without a token, where config/engine has health_public
	deepTime     = 5 * time.Second // of a deep check
	versionsOnce = 64              // looked at by one check of a key
)

var (
	fHealth       = vaultapi.Text("status", "ok; degraded: requests are served, and somebody has to act; failing: requests fail, or nothing is known.")
	fNodeActive   = vaultapi.Bool("active", "This node does what the clock does. On another one only the findings of that node itself are shown.")
	fFindingsTime = vaultapi.Text("findings_time", "When the tick worked out the findings, RFC 3339; empty: none ran yet since the start of the process.")
	fFindingsAge  = vaultapi.Int("findings_age", "How long ago that was, in seconds; 0 where none ran yet.")
	fFindings     = vaultapi.List("checks", "What was found: check, status, and problem, which is empty where all is well.")
	fFailures     = vaultapi.List("damaged_versions", "Versions that the scrub found damaged, the oldest finding first, at most 100: key, version, problem, since.")
	fHiddenFailed = vaultapi.Int("damaged_versions_hidden", "How many more there are.")
	fBrokenChains = vaultapi.Strings("broken_chains", "Chains of custody that are known to be broken: names of keys, policy:<name> or mount:. At most 100.")
	fScrubRound   = vaultapi.Text("scrub_round_time", "The end of the last round of the scrub, RFC 3339; empty: none has ended since the start of the process.")
	fPassedOver   = vaultapi.Int("scrub_passed_over", "Versions and chains that the last round could not look at.")
	fCheckpointed = vaultapi.Text("checkpoint_time", "The newest checkpoint of all chains since the start of the process, RFC 3339; empty: there was none.")

	fIntact       = vaultapi.Bool("ok", "Nothing was found wrong with what was looked at.")
	fExamined     = vaultapi.List("versions", "The versions looked at: version, state, condition (ok, missing, damaged, inaccessible or unavailable) and problem.")
	fChainProblem = vaultapi.Text("custody_problem", "What is wrong with the end of the key's chain of custody; empty: nothing is.")
	fNextVersion  = vaultapi.Int("next", "What to pass as after to go on. Absent on the last page.")

	healthFields = vaultapi.FieldsOf(fHealth, fNodeActive, fFindingsTime, fFindingsAge, fFindings, fFailures, fHiddenFailed, fBrokenChains, fScrubRound, fPassedOver, fCheckpointed)
)

// healthAPI serves whether the mount, and the material of its keys, is well.
type healthAPI struct{}

func (a healthAPI) paths() []path {
	return []path{
		{
			Pattern: "health", ID: vaultapi.ID{Suffix: "health"}, Mode: vaultapi.Strict,
			Operations: operations{
				logical.ReadOperation: {
					Handle: a.read, Summary: "Read how the mount is, as the last tick found it.", Answer: "The findings.", Fields: healthFields,
				},
				logical.UpdateOperation: {
					Handle: a.deep, ID: vaultapi.ID{Verb: "check", Suffix: "health"}, Answer: "The findings.", Fields: healthFields,
					Summary: "Check storage and the key encryption key now, by one write, read and delete and one wrap and unwrap.",
				},
			},
			Synopsis: "How the mount is.",
			Description: "A read is answered from memory: storage, key encryption keys, HSM, ticks, clock guard, custody and the scrub. A write checks storage and the " +
				"active key encryption key now, within 5 seconds. The status is 200 where the mount is ok or degraded, and 503 where it is failing.",
		},
		{
			Pattern: livePath, ID: vaultapi.ID{Suffix: "health-live"}, Mode: vaultapi.Strict,
			Operations: operations{logical.ReadOperation: {
				Handle: a.live, Summary: "Read in one word how the mount is, without a token.", Answer: "The word itself, as text/plain.", Fields: vaultapi.FieldsOf(fHealth),
			}},
			Synopsis:    "In one word, how the mount is, for anybody.",
			Description: "ok, degraded or failing, from memory; 200, or 503 where it is failing. It is 404 unless config/engine has health_public.",
		},
		{
			Pattern: "keys/" + named + "/check", ID: vaultapi.ID{Verb: "check", Suffix: "key"}, Mode: vaultapi.Strict,
			Fields: vaultapi.FieldsOf(fName, vaultapi.AfterNumber, vaultapi.Limit),
			Operations: operations{logical.ReadOperation: {
				Handle: a.check, Summary: "Check that the stored material of a key is available, intact and accessible.", Answer: "What was found.",
				Fields: vaultapi.FieldsOf(fName, fIntact, fExamined, fChainProblem, fNextVersion),
			}},
			Synopsis: "Whether the stored material of a key is available, intact and accessible.",
			Description: "Each version that is not destroyed is read from storage, opened, held against its fingerprint and used once, 64 in a request; after goes on. " +
				"The end of the key's chain of custody is held against its record. Nothing is written.",
		},
	}
}

func (healthAPI) read(_ context.Context, c *request) (*logical.Response, error) {
	return c.health(c.b.observe.Findings(c.b.engine.Now(), c.b.WriteSafeReplicationState()))
}

// deep is read with storage and the key encryption key as they are now.
func (healthAPI) deep(ctx context.Context, c *request) (*logical.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, deepTime)
	defer cancel()
	nonce := make([]byte, 16)
	if _, err := io.ReadFull(c.b.keyring.Rand, nonce); err != nil {
		return nil, err
	}
	stored := c.stored.Probe(ctx, nonce)
	if errors.Is(stored, logical.ErrReadOnly) {
		return nil, stored // Vault asks the node that may write
	}
	wrapped := c.b.keyring.On(c.stored.KEKs()).Probe(ctx)
	away := errors.Is(wrapped, envelope.ErrUnavailable) || errors.Is(wrapped, context.DeadlineExceeded)
	findings := c.b.observe.Findings(c.b.engine.Now(), true)
	for i := range findings {
		switch f := &findings[i]; f.Check {
		case observe.CheckStorage:
			*f = asFinding(f.Check, stored)
		case observe.CheckKEKs:
			*f = asFinding(f.Check, unless(away, wrapped))
		case observe.CheckHSM:
			*f = asFinding(f.Check, unless(!away, wrapped))
		}
	}
	return c.health(findings)
}

// asFinding is the finding of a check that was made now: what fails now fails.
func asFinding(check string, err error) observe.Finding {
	if err == nil {
		return observe.Finding{Check: check}
	}
	return observe.Finding{Check: check, Grade: observe.Failing, Why: err.Error()}
}

func unless(not bool, err error) error {
	if not {
		return nil
	}
	return err
}

// health answers the findings, and what they are about.
func (c *request) health(findings []observe.Finding) (*logical.Response, error) {
	const named = 100
	board := &c.b.observe.Board
	at, scrub, broken := board.Health.Get().At, board.Scrub.Get(), c.b.observe.BrokenChains()
	age := 0
	if !at.IsZero() {
		age = seconds(c.b.engine.Now().Sub(at))
	}
	status := observe.Worst(findings)
	resp := vaultapi.Data(
		fHealth.Is(status.String()), fNodeActive.Is(c.b.WriteSafeReplicationState()), fFindingsTime.Is(vaultapi.Time(at)), fFindingsAge.Is(age),
		fFindings.Is(vaultapi.Rows(findings, findingData)), fFailures.Is(vaultapi.Rows(scrub.Failures, failureData)), fHiddenFailed.Is(scrub.Hidden),
		fBrokenChains.Is(append([]string{}, broken[:min(len(broken), named)]...)), fScrubRound.Is(vaultapi.Time(scrub.Round)), fPassedOver.Is(scrub.PassedOver),
		fCheckpointed.Is(vaultapi.Time(board.Custody.Get().Checkpoint)),
	)
	if code := statusOfHealth(status); code != http.StatusOK {
		return logical.RespondWithStatusCode(resp, c.Logical, code)
	}
	return resp, nil
}

func statusOfHealth(g observe.Grade) int {
	if g == observe.Failing {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

func findingData(f observe.Finding) map[string]any {
	return map[string]any{"check": f.Check, "status": f.Grade.String(), "problem": f.Why}
}

func failureData(f observe.Failure) map[string]any {
	return map[string]any{"key": f.Key, "version": f.Version, "problem": f.Why, "since": vaultapi.Time(f.Since)}
}

func (healthAPI) live(_ context.Context, c *request) (*logical.Response, error) {
	if !c.b.public.Load() {
		return nil, nil //nolint:nilnil // Vault's 404
	}
	status := observe.Worst(c.b.observe.Findings(c.b.engine.Now(), c.b.WriteSafeReplicationState()))
	return &logical.Response{Data: map[string]any{
		logical.HTTPStatusCode: statusOfHealth(status), logical.HTTPContentType: "text/plain; charset=utf-8", logical.HTTPRawBody: []byte(status.String() + "\n"),
		logical.HTTPCacheControlHeader: "no-store",
	}}, nil
}

func (healthAPI) check(ctx context.Context, c *request) (*logical.Response, error) {
	limit, err := vaultapi.PageSize(c, versionsOnce, versionsOnce)
	if err != nil {
		return nil, err
	}
	after, err := vaultapi.FirstNumber(c)
	if err != nil {
		return nil, err
	}
	found, err := c.Versions().Check(ctx, fName.Get(c), after, limit)
	if err != nil {
		return nil, err
	}
	problem, err := c.Ledger().Inspect(ctx, found.Key.Name)
	if err != nil {
		return nil, err
	}
	well := problem == ""
	for _, v := range found.Versions {
		well = well && v.Condition == dataplane.Well
	}
	resp := vaultapi.Data(fName.Is(found.Key.Name), fIntact.Is(well), fExamined.Is(vaultapi.Rows(found.Versions, checkedData)), fChainProblem.Is(problem))
	if found.More {
		resp.Data[fNextVersion.Name] = found.Last
	}
	return resp, nil
}

func checkedData(v engine.CheckedVersion) map[string]any {
	return map[string]any{"version": v.Version, "state": v.State.String(), "condition": string(v.Condition), "problem": v.Why}
}

// observeHealth works out what the mount stands on, for who asks how it is. Storage is why the tick could not read it.
func (s *session) observeHealth(ctx context.Context, storage error) {
	board := &s.b.observe.Board
	found := s.b.keyring.On(s.stored.KEKs()).Condition(ctx)
	now := s.b.engine.Now()
	h := observe.Health{Started: board.Health.Get().Started, At: now, KEKs: found.KEKs, HSM: found.Away}
	if storage != nil {
		h.Storage = storage.Error()
	}
	if found.Away != "" && !found.Since.IsZero() {
		lasts, err := s.Retention(ctx)
		h.Unfit = err == nil && now.Sub(found.Since) > max(lasts.TTL, lasts.MaxAge)
	}
	board.Health.Set(h)
}
