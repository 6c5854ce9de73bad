// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// act is what a journal keeps.
type act struct {
	chain string // name of the journal
	keyID string // empty: it is not of a key
	event lifecycle.Event
}

// recorded does an act between its two custody records. From the first on it outlives the request, and where it fails it is
// found out, while its subject is locked, how it ended; an empty outcome: the storage does not tell.
func (r Journals) recorded(
	ctx context.Context, a act, at chain, do func(ctx context.Context, begun custody.Head) error,
) (custody.Outcome, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	ctx, cancel := outlive(ctx)
	defer cancel()
	begun, err := r.begin(ctx, a, at)
	if err != nil {
		return "", err
	}
	if err = noted(ctx, r, a.event, begun.head); err == nil {
		err = do(ctx, begun.head)
	}
	if err == nil {
		counted(r.conn, a.event)
		_, err := r.end(ctx, a.chain, begun, custody.Done, false)
		r.dropped("the end of an act is not recorded yet", err)
		return custody.Done, nil
	}
	outcome := r.outcome(ctx, a.chain, begun)
	if outcome == custody.Done {
		counted(r.conn, a.event)
		err = nil
	}
	return outcome, err
}

// noted writes what has to be known of an act that takes effect: that it used a consent, or that it had none and is to be reviewed.
func noted(ctx context.Context, r Journals, e lifecycle.Event, begun custody.Head) error {
	if err := Approvals(r).noteExecution(ctx, e.Consent, begun); err != nil {
		return err
	}
	return Reviews(r).note(ctx, e.Review, begun)
}

// outcome finds out how an act ended that failed, and ends it.
func (r Journals) outcome(ctx context.Context, name string, begun chain) custody.Outcome {
	ctx, cancel := outlive(ctx)
	defer cancel()
	if r.certain(ctx) != nil {
		return ""
	}
	from, exists, err := r.named(ctx, name)
	if err != nil {
		return ""
	}
	at, err := r.chainHead(ctx, name, from, exists)
	switch {
	case err != nil:
		return ""
	case at.begun == begun.begun && at.outcome == custody.Done:
		return custody.Done
	default:
		return custody.Failed
	}
}

// repeated reports whether custody knows that the request was carried out. What cannot be read of the journal is for the act
// to find.
func (r Journals) repeated(ctx context.Context, name string, from custody.Head, exists bool) bool {
	if r.caller.RequestID == "" {
		return false
	}
	at, err := r.chainHead(ctx, name, from, exists)
	return err == nil && at.did(r.caller.RequestID)
}

// onMount does an act on the settings of the mount, whose lock the caller holds. It commits with a record that takes over
// what begun names.
func (r Journals) onMount(ctx context.Context, event lifecycle.Event, do func(ctx context.Context, begun journaled) error) error {
	from, exists, err := r.named(ctx, custody.MountChain)
	if err != nil {
		return err
	}
	at, err := r.chainHead(ctx, custody.MountChain, from, exists)
	if err != nil {
		return err
	}
	_, err = r.recorded(ctx, act{chain: custody.MountChain, event: event}, at, func(ctx context.Context, begun custody.Head) error {
		return do(ctx, journaled{begun.Count, begun.Hash})
	})
	return err
}

// journaled is the part of a record that names the custody record of the act that wrote it; empty where none did.
type journaled struct {
	JournalCount int    `json:"journal_count"`
	JournalHash  string `json:"journal_hash"`
}

func (j journaled) head() custody.Head {
	return custody.Head{Count: j.JournalCount, Hash: j.JournalHash}
}

// mountRecords are the records that acts on the mount commit with, each act with one of them.
var mountRecords = []string{governancePath, settingsPath, clockPath, signingKeysPath, hsmPath, keksPath, cachePath, approvalSettingsPath, approversPath}

// named returns the newest custody record that is named by what the acts of a journal commit with: the record of its key or
// policy, or the newest of those of the mount's settings.
func (r Journals) named(ctx context.Context, name string) (from custody.Head, exists bool, err error) {
	policy, isPolicy := custody.PolicyOf(name)
	switch {
	case name == custody.MountChain:
		from, err = r.mountHead(ctx)
		return from, err == nil, err
	case isPolicy:
		from, err = Policies(r).head(ctx, policy)
	default:
		_, from, _, err = Keys(r).key(ctx, name)
	}
	if errors.Is(err, refusal.ErrNotFound) {
		return custody.Head{}, false, nil
	}
	return from, err == nil, err
}

// namedInStorage is named without what is remembered of the mount: memory is no witness of what is stored.
func namedInStorage(ctx context.Context, r Journals, name string) (from custody.Head, exists bool, err error) {
	if name == custody.MountChain {
		from, err = namedByMount(ctx, r.conn)
		return from, err == nil, err
	}
	return r.named(ctx, name)
}

// mountHead is [namedByMount] from memory, where the end of the chain is remembered and nothing is stored behind it: one
// Get. What is stored there another node wrote, which tells more than memory does.
func (r Journals) mountHead(ctx context.Context) (custody.Head, error) {
	at, ok := r.s.chains.Get(custody.MountChain)
	if !ok {
		return namedByMount(ctx, r.conn)
	}
	behind, err := r.Line(ctx, custody.MountChain, at.head.Count+1)
	switch {
	case err != nil:
		return custody.Head{}, err
	case behind == nil:
		return at.done, nil
	}
	r.s.chains.Remove(custody.MountChain)
	return namedByMount(ctx, r.conn)
}

// namedByMount reads which record is the newest that the mount's settings name.
func namedByMount(ctx context.Context, r *conn) (newest custody.Head, err error) {
	for _, path := range mountRecords {
		head, _, err := journaledAt(ctx, r, path)
		if err != nil {
			return custody.Head{}, err
		}
		if head.Count > newest.Count {
			newest = head
		}
	}
	return newest, nil
}

// journaledAt returns the custody record that a record names.
func journaledAt(ctx context.Context, r *conn, path string) (head custody.Head, exists bool, err error) {
	var rec struct {
		Schema int `json:"schema"`
		journaled
	}
	_, exists, err = read(ctx, r, path, &rec)
	return rec.head(), exists, err
}

// apart names the acts that do not commit with the record of what they are on, but with one of their own, which a detail of
// the event names.
var apart = map[acts.Name]struct{ prefix, detail string }{
	acts.RequestApproval: {approvalsPrefix, approvalDetail}, acts.Approve: {approvalsPrefix, approvalDetail},
	acts.Deny: {approvalsPrefix, approvalDetail}, acts.Withdraw: {approvalsPrefix, approvalDetail},
	acts.CloseReview: {reviewsPrefix, reviewDetail},
}

// apartOf returns the path of the record that an act commits with which is not that of its subject; empty: it is.
func apartOf(begin custody.Record) string {
	own, isApart := apart[acts.Name(begin.Act)]
	if !isApart {
		return ""
	}
	return own.prefix + begin.Details[own.detail]
}

// lockChain locks what the acts of a journal are on.
func (r Journals) lockChain(ctx context.Context, name string) (unlock func(), err error) {
	policy, isPolicy := custody.PolicyOf(name)
	switch {
	case name == custody.MountChain:
		return r.s.mount.exclusive(ctx, name)
	case isPolicy:
		return r.s.policies.exclusive(ctx, policy)
	default:
		return r.s.keys.exclusive(ctx, name)
	}
}

// recordOf returns where what the acts of a journal commit with is stored.
func recordOf(chain string) string {
	policy, isPolicy := custody.PolicyOf(chain)
	switch {
	case chain == custody.MountChain:
		return "config/"
	case isPolicy:
		return policiesPrefix + policy
	default:
		return keyPath(chain)
	}
}
