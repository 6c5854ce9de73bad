// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"
	"strconv"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

const eraseIntents = "intents/erase/"

// eraseRecord is intents/erase/<name>: the key of that id is being deleted. It takes effect when the key record is
// gone: as long as that stands, the act did not commit and the intent is void.
type eraseRecord struct {
	Schema int    `json:"schema"`
	KeyID  string `json:"key_id"`
	Due    string `json:"due"`
	Policy string `json:"policy"`
	Alert  string `json:"alert"` // the most urgent entry in the index of alerts; empty: none

	Protection string   `json:"protection"`            // that of the key
	MoreAlerts []string `json:"more_alerts,omitempty"` // its other entries there
}

// intentToErase is the intent to delete the key.
func intentToErase(k lifecycle.Key) eraseRecord {
	intent := eraseRecord{Schema: schema, KeyID: k.ID, Due: minuteOf(k.Due), Policy: k.Policy, Protection: string(k.Protection)}
	if alerts := alertPaths(k); len(alerts) > 0 {
		intent.Alert, intent.MoreAlerts = alerts[0], alerts[1:]
	}
	return intent
}

// alerts are the entries of the key in the index of alerts.
func (r eraseRecord) alerts() []string {
	if r.Alert == "" {
		return nil
	}
	return append([]string{r.Alert}, r.MoreAlerts...)
}

// Limits of one call of finishErasure, in entries deleted.
const (
	oneRequest = 1024
	allOfIt    = 1 << 30
)

// DeleteKey commits the deletion of the key, if allow returns no error: its record is gone, and FinishErasure has to
// erase the rest. A deletion that was cut short counts as committed by this one. The error is [refusal.ErrNotFound]
// where there is nothing to delete, and [refusal.ErrRepeated] where the request has deleted the key already.
func (r Keys) DeleteKey(ctx context.Context, name string, allow func(lifecycle.Key) error, reason string) (lifecycle.Key, error) {
	unlock, err := r.lock(ctx, &r.s.keys, name)
	if err != nil {
		return lifecycle.Key{}, err
	}
	defer unlock()
	k, head, _, err := r.key(ctx, name)
	exists := err == nil
	switch {
	case err != nil && !errors.Is(err, refusal.ErrNotFound):
		return lifecycle.Key{}, err
	case Journals(r).repeated(ctx, name, head, exists):
		return k, refusal.ErrRepeated
	case !exists:
		return lifecycle.Key{}, r.erasing(ctx, name, err)
	}
	if err := allow(k); err != nil {
		return lifecycle.Key{}, err
	}
	at, err := Journals(r).chainHead(ctx, name, head, true)
	if err != nil {
		return k, err
	}
	event := lifecycle.Event{Act: string(acts.Delete), Reason: reason}.With(deletedRevision, strconv.Itoa(k.Revision))
	a := act{name, k.ID, event}
	_, err = Journals(r).recorded(ctx, a, at, func(ctx context.Context, _ custody.Head) error {
		if err := r.put(ctx, eraseIntents+name, intentToErase(k), nil); err != nil {
			return err
		}
		return r.delete(ctx, keyPath(name))
	})
	r.s.tell(name, &k, nil, err)
	return k, err
}

// deletedRevision is the detail of the custody record of a deletion that says which revision of the key went.
const deletedRevision = "revision"

// soughtBehind is how many custody records are searched for the deletion of a key: behind it there are requests for another key of the
// name, and acts that failed to make it.
const soughtBehind = 64

// Deleted returns the id and the revision of the key that was deleted last under a name of which there is no key now, as custody says;
// no id: nothing says so. An earlier release did not note the revision.
func (r Keys) Deleted(ctx context.Context, name string) (keyID string, revision int, err error) {
	last, err := lastSeq(ctx, Journals(r), name)
	for seq := last; err == nil && seq > max(last-soughtBehind, 0); seq-- {
		var l *link
		l, err = Journals(r).link(ctx, name, seq)
		if err != nil || l == nil || l.Kind != custody.Begin || l.Act != string(acts.Delete) {
			continue
		}
		if revision, err := strconv.Atoi(l.Details[deletedRevision]); err == nil {
			return l.KeyID, revision, nil
		}
		return "", 0, nil
	}
	return "", 0, err
}

// erasing returns nil where a deletion is open, else missing.
func (r Keys) erasing(ctx context.Context, name string, missing error) error {
	var intent eraseRecord
	_, found, err := read(ctx, r.conn, eraseIntents+name, &intent)
	if err == nil && !found {
		return missing
	}
	return err
}

// Erasures returns the names of deleted keys whose material is not all erased yet.
func (r Keys) Erasures(ctx context.Context) ([]string, error) { return r.list(ctx, eraseIntents) }

// FinishErasure goes on with the deletion of a key, within the limit of one request.
func (r Keys) FinishErasure(ctx context.Context, name string) error {
	unlock, err := r.lock(ctx, &r.s.keys, name)
	if err != nil {
		return err
	}
	defer unlock()
	return r.finishErasure(ctx, name, oneRequest)
}

// finishErasure replays an open deletion: the live path and recovery are this one function. The caller holds the
// lock of the key. It does nothing where no deletion is open.
func (r Keys) finishErasure(ctx context.Context, name string, limit int) error {
	var intent eraseRecord
	_, found, err := read(ctx, r.conn, eraseIntents+name, &intent)
	if err != nil || !found {
		return err
	}
	_, _, _, err = r.key(ctx, name)
	if err == nil { // the record stands: the deletion did not commit
		return r.delete(ctx, eraseIntents+name)
	}
	if !errors.Is(err, refusal.ErrNotFound) {
		return err
	}
	if intent.Protection == string(lifecycle.Resident) {
		left, err := Objects(r).giveUpAll(ctx, name, &limit)
		if err != nil || left {
			return err
		}
	}
	for _, folder := range []string{versionsPrefix, archivePrefix, datesPrefix, leasesPrefix, deniedPrefix, certificatesPrefix} {
		left, err := r.deleteFolder(ctx, folder+name+"/", &limit)
		if err != nil || left {
			return err
		}
	}
	return r.dropIntent(ctx, name, intent)
}

// dropIntent removes the index entries of the deleted key and, last, the intent.
func (r Keys) dropIntent(ctx context.Context, name string, intent eraseRecord) error {
	if intent.Due != "" {
		if err := r.delete(ctx, schedulePath(intent.Due, name)); err != nil {
			return err
		}
	}
	for _, alert := range intent.alerts() {
		if err := r.delete(ctx, alert); err != nil {
			return err
		}
	}
	if intent.Policy != "" {
		if err := r.delete(ctx, boundPath(intent.Policy, name)); err != nil {
			return err
		}
	}
	for _, path := range []string{relocationIntents + name, usagePrefix + name, eraseIntents + name} {
		if err := r.delete(ctx, path); err != nil {
			return err
		}
	}
	return nil
}
