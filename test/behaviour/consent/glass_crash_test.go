// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// glassActs are what writes a review, each from a mount of its own.
var glassActs = []struct {
	name string
	make func(t *testing.T) (o *office, do func() mounttest.Answer)
}{
	{"promote by break-glass", func(t *testing.T) (*office, func() mounttest.Answer) {
		o := glass(t, "1 of "+approvers)
		return o, func() mounttest.Answer {
			return o.as("erin").Write(promote2, "break_glass", true, "reason", emergency)
		}
	}},
	{"close a review", func(t *testing.T) (*office, func() mounttest.Answer) {
		o, review := broken(t)
		return o, func() mounttest.Answer { return o.close("bob", review, "rejected") }
	}},
}

func TestEachWriteOfBreakGlassAndOfItsReviewMayFailTwice(t *testing.T) {
	for i, x := range glassActs {
		eachWrite(t, i, x.name, func(t *testing.T, at int, fate storagetest.Fate) bool {
			t.Helper()
			o, do := x.make(t)
			fired := false
			for range 2 {
				o.Storage.FailWriteAs(at, fate)
				do()
				fired = fired || o.Storage.Fired()
				o.Storage.Heal()
				o.requireReviewed()
			}
			if at%2 == 0 {
				o.Restart()
			}
			if got := do(); got.Status >= 300 { // it was done
				require.Contains(t, got.Err, "active", "write %d was %s", at, fate)
			}
			o.requireReviewed()
			require.Equal(t, "active", o.StatesOf("orders")[1])
			require.Len(t, o.reviews(), 1, "the same tried again has the same review")
			mounttest.RequireCustodyWhole(t, o.Mount)
			require.True(t, fired || at > 2)
			return fired
		})
	}
}

// requireReviewed demands that each act by break-glass that took effect has its review, that the review of one that did not is void,
// and that a verdict stands exactly where custody says so.
func (o *office) requireReviewed() {
	o.t.Helper()
	o.Must(o.as("root").Write("custody/checkpoint")) // which ends what is open
	closed, effective := map[string]string{}, map[string]int{}
	records := o.Storage.JournalOf("orders")
	for _, end := range records {
		if end.Outcome != custody.Done {
			continue
		}
		begun := records[end.Of-1]
		if begun.Details["break_glass"] == "true" {
			effective[begun.Details["review"]] = begun.Seq
		}
		if begun.Act == "close-review" {
			closed[begun.Details["review"]] = begun.Details["verdict"]
		}
	}
	for id, seq := range effective {
		shown := o.review(id)
		require.Equal(o.t, seq, shown["custody_seq"], id)
		require.NotEqual(o.t, "void", shown["state"], id)
	}
	for _, id := range o.reviews() {
		shown := o.review(id)
		if effective[id] == 0 {
			require.Equal(o.t, "void", shown["state"], id)
		}
		require.Equal(o.t, closed[id], shown["verdict"], id)
	}
	if o.StatesOf("orders")[1] == "active" {
		require.Len(o.t, effective, 1, "version 2 is active, and nobody consented")
	}
}

func TestTheReviewOfWhatDidNotTakeEffectIsVoid(t *testing.T) {
	o := glass(t, "1 of "+approvers)
	o.Storage.FailWriteAs(3, storagetest.Lost) // custody, the review, and what the act writes
	require.GreaterOrEqual(t, o.as("erin").Write(promote2, "break_glass", true, "reason", emergency).Status, 500)
	o.Storage.Heal()
	require.Equal(t, "pre_active", o.StatesOf("orders")[1])
	review := o.reviews()[0]
	require.Equal(t, "void", o.review(review)["state"])
	o.Refused(o.close("bob", review, "justified"), "is void: nothing can be done with it any more")
	o.Leap(100 * time.Hour)
	o.Must(o.as("frank").Write(promote2, "break_glass", true, "reason", emergency))
	require.Equal(t, []string{"open", "void"}, o.statesOfReviews(), "what is void is not overdue")
}

// TestARequestByBreakGlassThatComesTwiceIsDoneOnce: Vault sends one again, with its id, when the plugin ends under it.
func TestARequestByBreakGlassThatComesTwiceIsDoneOnce(t *testing.T) {
	for _, x := range glassActs {
		o, do := x.make(t)
		o.Must(o.As("an id that comes twice", func(*mounttest.Mount) mounttest.Answer { return do() }))
		records := len(o.Storage.JournalOf("orders"))
		o.Restart()
		o.Must(o.As("an id that comes twice", func(*mounttest.Mount) mounttest.Answer { return do() }))
		require.Len(t, o.Storage.JournalOf("orders"), records, x.name)
		require.Len(t, o.reviews(), 1)
		o.requireReviewed()
	}
}
