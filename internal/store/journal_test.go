// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/store"
	"github.com/stretchr/testify/require"
)

// journal returns the custody records of a key as they are stored.
func (w *world) journal(t testing.TB, name string) []custody.Record {
	t.Helper()
	lines := w.texts(t, name)
	records := make([]custody.Record, len(lines))
	for i, line := range lines {
		var err error
		records[i], err = custody.Decode([]byte(line))
		require.NoError(t, err)
		require.Equal(t, i+1, records[i].Seq)
	}
	return records
}

// texts returns the journal of a key as it is exported.
func (w *world) texts(t testing.TB, name string) (texts []string) {
	t.Helper()
	for line, err := range w.Lines(ctx, name, 0) {
		require.NoError(t, err)
		texts = append(texts, string(line.Text))
	}
	return texts
}

// story tells the journal of a key in short: each act with its outcome; "?" for one that has none.
func (w *world) story(t testing.TB, name string) string {
	t.Helper()
	var acts []string
	for _, r := range w.journal(t, name) {
		switch {
		case r.Kind == custody.Begin:
			acts = append(acts, r.Act+" ?")
		case r.Recovered:
			acts[len(acts)-1] = strings.TrimSuffix(acts[len(acts)-1], "?") + string(r.Outcome) + ", recovered"
		default:
			acts[len(acts)-1] = strings.TrimSuffix(acts[len(acts)-1], "?") + string(r.Outcome)
		}
	}
	return strings.Join(acts, "; ")
}

// checkCustody holds the journals, at rest, to what an auditor relies on: every chain verifies, every act has an
// outcome, and that of the act that wrote a key's record is that it was done.
func checkCustody(t testing.TB, w *world) {
	t.Helper()
	names, err := w.JournalNames(ctx)
	require.NoError(t, err)
	var export strings.Builder
	for _, name := range names {
		head, err := w.JournalHead(ctx, name)
		require.NoError(t, err)
		lines := w.texts(t, name)
		problem, err := w.CheckJournal(ctx, name)
		require.NoError(t, err)
		require.Empty(t, problem)
		require.Len(t, lines, head.Count)
		require.Equal(t, custody.Hash([]byte(lines[len(lines)-1])), head.Hash)
		export.WriteString(strings.Join(lines, "\n") + "\n")
		checkOutcomes(t, w, name)
	}
	report, err := custody.Verify(custody.Lines(strings.NewReader(export.String())), nil, "", nil)
	require.NoError(t, err)
	require.Empty(t, report.Problems)
	require.Empty(t, report.Unfinished)
}

// namedBy returns which act of a journal the record at path names; found: there is one.
func (w *world) namedBy(t testing.TB, path string) (count int, found bool) {
	t.Helper()
	var rec struct {
		Count int `json:"journal_count"`
	}
	entry, err := w.disk.Get(ctx, path)
	require.NoError(t, err)
	if entry == nil {
		return 0, false
	}
	require.NoError(t, json.Unmarshal(entry.Value, &rec))
	return rec.Count, true
}

// checkMount holds the newest act of each kind that was done to what is in force.
func checkMount(t testing.TB, w *world) {
	t.Helper()
	newest := map[string]int{}
	records := w.journal(t, custody.MountChain)
	for _, end := range records {
		if end.Outcome == custody.Done {
			newest[records[end.Of-1].Act] = end.Of
		}
	}
	for path, acts := range map[string][]string{
		"config/engine": {"configure-engine"}, "config/keys": {"configure-keys"}, "config/cache": {"configure-cache"}, "config/clock": {"acknowledge-clock"},
		"config/custody": {"rotate-signing-key"}, "config/hsm": {"configure-hsm", "delete-hsm"},
		"config/approvals": {"configure-approvals"}, "config/approvers": {"enrol", "unenrol"},
		"config/keks": {"create-kek", "rotate-kek", "retire-kek", "destroy-kek"},
	} {
		want := 0
		for _, act := range acts {
			want = max(want, newest[act])
		}
		count, _ := w.namedBy(t, path)
		require.Equal(t, want, count, path)
	}
}

// checkOutcomes holds the outcome of every act to what the record of the key or the policy says.
func checkOutcomes(t testing.TB, w *world, name string) {
	t.Helper()
	if name == custody.MountChain {
		checkMount(t, w)
		return
	}
	path := "keys/" + name
	if policy, ok := custody.PolicyOf(name); ok {
		path = "policies/" + policy
	}
	count, found := w.namedBy(t, path)
	records := w.journal(t, name)
	for _, end := range records {
		if end.Kind != custody.End {
			continue
		}
		switch {
		case records[end.Of-1].Act == "close-review": // commits with the review
			closed, _ := w.namedBy(t, "reviews/"+records[end.Of-1].Details["review"])
			require.Equal(t, closed == end.Of, end.Outcome == custody.Done, "a verdict")
		case found && end.Of == count:
			require.Equal(t, custody.Done, end.Outcome, "the act that wrote the record")
		case found && end.Of > count:
			require.Equal(t, custody.Failed, end.Outcome, "an act that the record does not know")
		case !found && end.Seq == len(records) && records[end.Of-1].Act == "delete":
			require.Equal(t, custody.Done, end.Outcome, "the record is gone")
		}
	}
}

func TestEveryActIsRecordedWithAllThatIsKnown(t *testing.T) {
	w := newWorld()
	w.putPolicy(t, "pci", "")
	k := w.create(t, "orders", "pci")
	event := lifecycle.Event{
		Act: "suspend", Versions: []int{1}, From: "active", To: "suspended", Reason: strings.Repeat("é", 400), Policy: "pci",
		PolicyRevision: 1, Details: map[string]string{"owner": "a -> b"},
	}
	_, err := w.by("r1").UpdateKey(ctx, "orders", func(k lifecycle.Key) (lifecycle.Commit, error) {
		k.Owner = "b"
		return lifecycle.Commit{Key: k, Event: event}, nil
	})
	require.NoError(t, err)
	got := w.journal(t, "orders")
	require.Len(t, got, 4)
	begin, end := got[2], got[3]
	require.Equal(t, custody.Record{
		Format: 1, Instance: "8f14", Key: "orders", Seq: 3, Prev: begin.Prev, Time: start, Kind: custody.Begin, KeyID: k.ID,
		Act: "suspend", Versions: []int{1}, From: "active", To: "suspended", Actor: who.Actor, Reason: custody.Clip(event.Reason),
		Policy: "pci", PolicyRevision: 1, RequestID: "r1", Details: event.Details,
	}, begin)
	require.Equal(t, custody.Record{
		Format: 1, Instance: "8f14", Key: "orders", Seq: 4, Prev: end.Prev, Time: start, Kind: custody.End, Of: 3, Outcome: custody.Done,
	}, end)
	checkCustody(t, w)
}

func TestActThatCustodyDoesNotKeepWritesNoRecord(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "")
	_, err := w.UpdateKey(ctx, "orders", func(k lifecycle.Key) (lifecycle.Commit, error) {
		return lifecycle.Commit{Key: k.Failed("token removed", nil, start)}, nil
	})
	require.NoError(t, err)
	require.Equal(t, "create done", w.story(t, "orders"))
	w.restart()
	w.grow(t, "orders", 2)
	require.Equal(t, "create done; rotate done", w.story(t, "orders"))
	checkCustody(t, w)
}

// counted counts the writes below a prefix.
type counted struct {
	logical.Storage
	prefix string
	puts   *int
}

func (c counted) Put(ctx context.Context, entry *logical.StorageEntry) error {
	if strings.HasPrefix(entry.Key, c.prefix) {
		*c.puts++
	}
	return c.Storage.Put(ctx, entry)
}

func TestActCostsTwoRecordsAndNoReadWhenItsJournalIsKnown(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "")
	for range 5 {
		puts := 0
		w.on(counted{w.disk, "journal/", &puts})
		w.disk.Reset()
		w.grow(t, "orders", 1+len(w.journal(t, "orders"))/2)
		require.Equal(t, 2, puts)
	}
	w.on(w.disk)
	w.disk.Reset()
	require.NoError(t, rotateOrders(w, "first"))
	require.Equal(t, 1, w.disk.Reset().Gets, "the record of the key")
	w.store.Forget("orders") // another node wrote it
	require.NoError(t, rotateOrders(w, "first"))
	require.Greater(t, w.disk.Reset().Gets, 1)
	checkCustody(t, w)
}

func TestActThatCannotBeRecordedDoesNotTakeEffect(t *testing.T) {
	for name, do := range map[string]func(w *world) error{
		"rotate": func(w *world) error { return rotateOrders(w, "lost") },
		"delete": func(w *world) error { return deleteOrders(w, "") },
		"settle": func(w *world) error { _, err := w.UpdateKey(ctx, "orders", settle(1, 1)); return err },
		"create": createOther,
	} {
		w := newWorld()
		withKey(2, true)(t, w)
		before := w.entries(t)
		for _, applied := range []bool{false, true} {
			store.Trust(w.store)
			w.disk.FailWrite(1, applied)
			require.ErrorContains(t, do(w), "journal/", name)
			w.disk.Heal()
			require.Equal(t, beside(before, "journal/"), beside(w.entries(t), "journal/"), name)
		}
		checkCustody(t, w)
	}
}

func createOther(w *world) error {
	k := lifecycle.Key{ID: "id", Name: "other", Type: keytype.Default, Latest: 1, Primary: 1, Recent: []time.Time{start}}
	return w.CreateKey(ctx, creation(k, version(k, "first")))
}

func TestRecordThatIsInvalidStopsTheAct(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "")
	before := w.entries(t)
	_, err := w.UpdateKey(ctx, "orders", func(k lifecycle.Key) (lifecycle.Commit, error) {
		k.Owner = "else"
		return lifecycle.Commit{Key: k, Event: lifecycle.Event{Act: strings.Repeat("a", 1000)}}, nil
	})
	require.ErrorIs(t, err, custody.ErrInvalid)
	require.Equal(t, before, w.entries(t))
	w.grow(t, "orders", 2)
	checkCustody(t, w)
}

// TestActThatWasCutShortIsSettledByTheRecordOfTheKey fails each write of a rotation: custody, version, record, outcome.
func TestActThatWasCutShortIsSettledByTheRecordOfTheKey(t *testing.T) {
	for _, row := range []struct {
		at      int
		applied bool
		want    string
	}{
		{1, false, "create done; configure done"},
		{1, true, "create done; rotate failed, recovered; configure done"},
		{2, false, "create done; rotate failed, recovered; configure done"},
		{2, true, "create done; rotate failed, recovered; configure done"},
		{3, false, "create done; rotate failed, recovered; configure done"},
		{3, true, "create done; rotate done, recovered; configure done"},
		{4, false, "create done; rotate done, recovered; configure done"},
		{4, true, "create done; rotate done; configure done"},
	} {
		for _, restart := range []bool{false, true} { // with what the process remembers, and without
			t.Run(fmt.Sprintf("write %d, applied %v, restart %v", row.at, row.applied, restart), func(t *testing.T) {
				w := newWorld()
				w.create(t, "orders", "")
				w.disk.FailWrite(row.at, row.applied)
				_ = rotateOrders(w, "lost")
				w.disk.Heal()
				if restart {
					w.restart()
				}
				require.NoError(t, update(func(k *lifecycle.Key) { k.Owner = "else" })(w, ""))
				require.Equal(t, row.want, w.story(t, "orders"))
				checkCustody(t, w)
			})
		}
	}
}

func TestDeletionThatWasCutShortIsSettledByTheRecordBeingGone(t *testing.T) {
	for _, row := range []struct {
		at      int // custody, intent, record, outcome
		applied bool
		want    string
	}{
		{2, false, "create done; delete failed, recovered"},
		{3, false, "create done; delete failed, recovered"},
		{3, true, "create done; delete done, recovered"},
		{4, false, "create done; delete done, recovered"},
		{4, true, "create done; delete done"},
	} {
		w := newWorld()
		w.create(t, "orders", "")
		w.disk.FailWrite(row.at, row.applied)
		_ = deleteOrders(w, "")
		w.disk.Heal()
		w.restart()
		_, err := w.JournalHead(ctx, "orders")
		require.NoError(t, err)
		require.Equal(t, row.want, w.story(t, "orders"), "write %d, applied %v", row.at, row.applied)
		checkCustody(t, w)
	}
}

func TestChainGoesOnWhenANameIsUsedAgain(t *testing.T) {
	for _, restart := range []bool{false, true} {
		w := newWorld()
		for range 3 {
			w.create(t, "orders", "")
			require.NoError(t, deleteOrders(w, ""))
			if restart {
				w.restart()
			}
		}
		require.Equal(t, "create done; delete done; create done; delete done; create done; delete done", w.story(t, "orders"))
		names, err := w.JournalNames(ctx)
		require.NoError(t, err)
		require.Equal(t, []string{"orders"}, names)
		checkCustody(t, w)
	}
}

// TestJournalThatIsNotTheOneTheKeyNamesStopsTheAct is about storage that somebody edited: going on would hide it.
func TestJournalThatIsNotTheOneTheKeyNamesStopsTheAct(t *testing.T) {
	for name, edit := range map[string]func(w *world) error{
		"last begin missing": func(w *world) error { return w.disk.Delete(ctx, "journal/orders/0000000003") },
		"edited": func(w *world) error {
			entry, err := w.disk.Get(ctx, "journal/orders/0000000003")
			if err == nil {
				entry.Value = []byte(strings.Replace(string(entry.Value), "token-ops", "token-x", 1))
				err = w.disk.Put(ctx, entry)
			}
			return err
		},
		"unreadable": func(w *world) error {
			return w.disk.Put(ctx, &logical.StorageEntry{Key: "journal/orders/0000000003", Value: []byte("{}")})
		},
	} {
		w := newWorld()
		w.create(t, "orders", "")
		w.grow(t, "orders", 2)
		require.NoError(t, edit(w))
		w.restart()
		before := w.entries(t)
		err := rotateOrders(w, "x")
		require.ErrorContains(t, err, "journal/orders/0000000003", name)
		require.Equal(t, before, w.entries(t), name)
		problem, err := w.CheckJournal(ctx, "orders")
		require.NoError(t, err)
		require.Contains(t, problem, `key "orders": journal/orders/0000000003`, name)
	}
}

func TestCreationThatWasCutShortDidNotTakeEffect(t *testing.T) {
	w := newWorld()
	w.disk.FailWrite(2, true) // custody, version
	require.Error(t, createOther(w))
	w.disk.Heal()
	w.restart()
	_, err := w.JournalHead(ctx, "other")
	require.NoError(t, err)
	require.Equal(t, "create failed, recovered", w.story(t, "other"))
	require.NoError(t, createOther(w))
	require.Equal(t, "create failed, recovered; create done", w.story(t, "other"))
}
