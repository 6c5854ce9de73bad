// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/store"
	"github.com/stretchr/testify/require"
)

// later is a record with fields of a later release.
func later(record string) string {
	return strings.Replace(record, "{", `{"later": {"a": [1, 12345678901234567890, "<x>"]}, "also_later": null,`, 1)
}

func requireLater(t *testing.T, record string) {
	t.Helper()
	require.Contains(t, record, `"later":{"a":[1,12345678901234567890,"`)
	require.Contains(t, record, `"also_later":null`)
}

func TestUnknownFieldsOfAKeySurviveAChange(t *testing.T) {
	w := load(t, map[string]string{
		"keys/orders": later(golden(t, "key")), "config/kek": golden(t, "kek"),
		"journal/orders/0000000001": golden(t, "journal1"), "journal/orders/0000000002": golden(t, "journal2"),
	})
	k, err := w.Key(ctx, "orders")
	require.NoError(t, err)
	require.Equal(t, goldenKey(), k)

	for _, act := range []store.Act{configure(func(k *lifecycle.Key) { k.Owner = "else" }), settle(1, 2)} {
		_, err := w.UpdateKey(ctx, "orders", act)
		require.NoError(t, err)
		requireLater(t, w.entries(t)["keys/orders"])
	}
	k, err = w.Key(ctx, "orders")
	require.NoError(t, err)
	require.Equal(t, "else", k.Owner)
	require.Equal(t, goldenKey().Revision+2, k.Revision)
}

func TestUnknownFieldsOfAPolicySurviveANewRevision(t *testing.T) {
	w := load(t, map[string]string{"config/kek": golden(t, "kek"), "policies/pci": later(golden(t, "policy-first"))})
	w.putPolicy(t, "pci", "new")
	requireLater(t, w.entries(t)["policies/pci"])
	p, err := w.Policy(ctx, "pci")
	require.NoError(t, err)
	require.Equal(t, "new", p.Description)
	require.Equal(t, 5, p.Revision)
}

func TestUnknownFieldsOfTheSettingsSurviveAChange(t *testing.T) {
	w := load(t, map[string]string{"config/kek": golden(t, "kek"), "config/keys": later(golden(t, "settings-first"))})
	require.NoError(t, w.SetDisableUpsert(ctx, false))
	requireLater(t, w.entries(t)["config/keys"])
}

// reader is a record and all that reads it.
type reader struct {
	path   string
	golden string
	acts   map[string]func(w *world) error
}

func readers(kek string) []reader {
	update := func(w *world) error { _, err := w.UpdateKey(ctx, "orders", rotate("x")); return err }
	remove := func(w *world) error { _, err := w.DeleteKey(ctx, "orders", anyKey, ""); return err }
	create := func(w *world) error {
		k := goldenKey()
		return w.CreateKey(ctx, creation(k, version(k, "x")))
	}
	return []reader{
		{"keys/orders", "key", map[string]func(w *world) error{
			"read":   func(w *world) error { _, err := w.Key(ctx, "orders"); return err },
			"create": create, "update": update, "delete": remove,
			"unlist": func(w *world) error { return w.RemoveDue(ctx, start, "orders") },
		}},
		{"versions/orders/2", "version", map[string]func(w *world) error{
			"read": func(w *world) error { _, err := w.Version(ctx, "orders", 2); return err },
		}},
		{"dates/orders/0", "dates", map[string]func(w *world) error{
			"read": func(w *world) error {
				_, err := w.Dates(ctx, lifecycle.Key{ID: "6f72646572", Name: "orders", Latest: 256}, 1)
				return err
			},
		}},
		{"policies/pci", "policy", map[string]func(w *world) error{
			"read": func(w *world) error { _, err := w.Policy(ctx, "pci"); return err },
		}},
		{"config/kek", "kek", map[string]func(w *world) error{
			"read":   func(w *world) error { _, _, err := w.Keyring(ctx); return err },
			"create": func(w *world) error { _, err := w.CreateKeyring(ctx, goldenKeyring()); return err },
		}},
		{"config/archive-kek", "archive-kek", map[string]func(w *world) error{
			"read": func(w *world) error {
				_ = w.disk.Put(ctx, &logical.StorageEntry{Key: "config/kek", Value: []byte(kek)})
				defer func() { _ = w.disk.Delete(ctx, "config/kek") }()
				_, _, err := w.Keyring(ctx)
				return err
			},
		}},
		{"config/custody", "custody", map[string]func(w *world) error{
			"read": func(w *world) error { _, err := w.SigningKeys(ctx); return err },
			"add":  func(w *world) error { _, err := w.AddSigningKey(ctx, nextSigningKey); return err },
		}},
		{"config/clock", "clock", map[string]func(w *world) error{
			"read": func(w *world) error { _, err := w.Clock(ctx); return err },
			"set":  func(w *world) error { return w.SetClock(ctx, goldenClock()) },
		}},
		{"archive/orders/2", "version", map[string]func(w *world) error{
			"replace": func(w *world) error {
				_, err := w.ReplaceSealed(ctx, lifecycle.InArchive, "orders", goldenVersion(), []byte("anew"))
				return err
			},
			"read": func(w *world) error { _, err := w.Archived(ctx, "orders", 2); return err },
		}},
		{"usage/orders", "usage", map[string]func(w *world) error{
			"read": func(w *world) error { _, err := w.Denied(ctx, goldenKey(), lifecycle.Of(2)); return err },
		}},
		{"denied/orders/0", "denied", map[string]func(w *world) error{
			"read": func(w *world) error { _, err := w.Denied(ctx, goldenKey(), lifecycle.Of(2)); return err },
		}},
		{"intents/settle/orders", "settle", map[string]func(w *world) error{
			"settle": func(w *world) error {
				return w.RelocateAsATick(ctx, "orders", func(lifecycle.Key, int) error { panic("internal error: called") })
			},
		}},
		{"config/cache", "cache", map[string]func(w *world) error{
			"read": func(w *world) error { _, err := w.CacheSize(ctx); return err },
			"set":  func(w *world) error { return w.SetCacheSize(ctx, 20) },
		}},
		{"config/approvals", "approvals", map[string]func(w *world) error{
			"read": func(w *world) error { _, err := w.ApprovalSettings(ctx); return err },
			"set":  func(w *world) error { return setApprovals(w, consent.DefaultSettings()) },
		}},
		{"reviews/" + goldenReview().ID(), "review", map[string]func(w *world) error{
			"read":  func(w *world) error { _, err := w.Review(ctx, goldenReview().ID()); return err },
			"close": func(w *world) error { return closeReview(w, "") },
		}},
		{"config/approvers", "approvers", map[string]func(w *world) error{
			"read":     func(w *world) error { _, err := w.Enrolment(ctx, "b0b"); return err },
			"read all": func(w *world) error { _, err := w.Enrolments(ctx); return err },
			"enrol":    func(w *world) error { return enrol(w, goldenEnrolment()) },
			"unenrol":  func(w *world) error { return unenrol(w, "b0b") },
		}},
		{"config/keys", "settings", map[string]func(w *world) error{
			"read": func(w *world) error { _, err := w.DisableUpsert(ctx); return err },
			"set":  func(w *world) error { return w.SetDisableUpsert(ctx, false) },
		}},
		{"intents/erase/orders", "erase", map[string]func(w *world) error{
			"finish": func(w *world) error { return w.FinishErasure(ctx, "orders") },
			"create": create, "delete": remove,
		}},
		{"intents/rewrap/use", "rewrap", map[string]func(w *world) error{
			"read":  func(w *world) error { _, _, err := w.Rewrap(ctx, "use"); return err },
			"begin": func(w *world) error { return w.BeginRewrap(ctx, "use", [16]byte{9}) },
			"save":  func(w *world) error { _, err := w.SaveRewrap(ctx, goldenRewrapping()); return err },
			"done":  func(w *world) error { _, err := w.FinishRewrap(ctx, goldenRewrapping()); return err },
		}},
		{"intents/reschedule/pci", "reschedule", map[string]func(w *world) error{
			"read": func(w *world) error { _, _, err := w.ReindexCursor(ctx, "pci"); return err },
			"done": func(w *world) error { return w.SaveReindexCursor(ctx, "pci", 4, "", true) },
		}},
	}
}

// eachReader runs every act on the record at its path and returns what must hold of the outcome to check.
func eachReader(t *testing.T, record string, check func(t *testing.T, path string, err error)) {
	for _, r := range readers(golden(t, "kek")) {
		if record != "" && (r.golden == "settle" || r.golden == "rewrap") {
			continue // what is damaged of it stops nothing: see relocate_test.go and rewrap_test.go
		}
		for name, act := range r.acts {
			planted := record
			if planted == "" {
				planted = strings.Replace(golden(t, r.golden), `"schema": 1`, `"schema": 2, "secret": "s3cr3t"`, 1)
			}
			before := map[string]string{r.path: planted}
			w := load(t, before)
			err := act(w)
			t.Run(fmt.Sprintf("%s of %s", name, r.path), func(t *testing.T) {
				check(t, r.path, err)
				require.Equal(t, before, w.entries(t), "nothing is written")
			})
		}
	}
}

func TestRecordOfANewerReleaseIsRefused(t *testing.T) {
	eachReader(t, "", func(t *testing.T, path string, err error) {
		require.ErrorIs(t, err, store.ErrNewerSchema)
		require.ErrorContains(t, err, path+": schema 2, this release reads up to 1")
		require.NotContains(t, err.Error(), "s3cr3t")
	})
}

func TestRecordThatIsNoneOfItsKindIsReportedAndNotQuoted(t *testing.T) {
	for _, record := range []string{
		" ", "null", "[]", `"s3cr3t"`, "7", "{", "{}", `{"s3cr3t"`, "\x00\xff s3cr3t", `{"schema":1} {"secret":"s3cr3t"}`,
		`{"schema":null}`, `{"schema":0,"secret":"s3cr3t"}`, `{"schema":-1}`, `{"schema":"1"}`, `{"schema":1.5}`,
		`{"schema":1e99}`, `{"schema":[1]}`,
		// right schema, wrong kinds of values: each record has one of these fields
		`{"schema":1,"created":{"secret":"s3cr3t"},"disable_upsert":"s3cr3t","duties":7,"approvers":"s3cr3t","size":"s3cr3t","keys":7,"high":"s3cr3t","denied":"s3cr3t","number":"s3cr3t","from":"s3cr3t","due":["s3cr3t"],"after":7,"revision":"s3cr3t"}`,
	} {
		t.Run(record, func(t *testing.T) {
			eachReader(t, record, func(t *testing.T, path string, err error) {
				require.ErrorIs(t, err, store.ErrCorrupt)
				require.ErrorContains(t, err, path)
				require.NotContains(t, err.Error(), "s3cr3t")
			})
		})
	}
}
