// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/store"
)

// goldenReview is of an act on key orders, of which withKey makes the id.
func goldenReview() consent.Review {
	content := consent.Content{
		Instance: "an instance", Operation: "resume", Subject: consent.Subject{Scope: "key", Name: "orders", KeyID: "id"}, Version: 1, Revision: 4,
		Policy: consent.Policy{Name: "pci", Revision: 4, Hash: "c0ffee"}, Parameters: map[string]string{}, Reason: "INC-2044: payments are down", Requester: "e814",
	}
	rule, err := consent.ParseRule("2 of key-approvers")
	if err != nil {
		panic(err)
	}
	return consent.ReviewOf(consent.Request{
		Content: content, Digest: content.Digest(), Rule: rule, Exclude: []consent.Exclusion{consent.ExcludeRequester, consent.ExcludeCreator},
		Requester: "erin", Creator: "a11ce", Author: "b0b", Created: start,
	}, start.Add(72*time.Hour))
}

// breakGlass is an act on key orders that has a review.
func breakGlass(w *world, _ string) error {
	_, err := w.UpdateKey(ctx, "orders", func(k lifecycle.Key) (lifecycle.Commit, error) {
		k.Owner = "given back"
		k.Revision++
		review := goldenReview()
		return lifecycle.Commit{Key: k, Event: lifecycle.Event{Act: "resume", Review: &review, Details: map[string]string{"review": review.ID()}}}, nil
	})
	return err
}

// closeReview says of it that it was justified.
func closeReview(w *world, _ string) error {
	review := goldenReview()
	_, err := w.ChangeReview(ctx, review.ID(), review.Content.Subject, func(now consent.Review) (consent.Review, lifecycle.Event, error) {
		now.Verdict, now.Closed, now.Reviewer, now.Name, now.Closing = consent.Justified, start.Add(time.Hour), "ca101", "carol", "the incident was real"
		return now, lifecycle.Event{Act: "close-review", Details: map[string]string{"review": now.ID()}}, nil
	})
	return err
}

func afterBreakGlass(t *testing.T, w *world) {
	withKey(2, false)(t, w)
	require.NoError(t, breakGlass(w, ""))
}

func reviewActs() []act {
	return []act{
		{name: "act by break-glass", arrange: withKey(2, false), do: breakGlass, writes: custodyWrites + 2},
		{name: "close a review", arrange: afterBreakGlass, do: closeReview, writes: custodyWrites + 1},
	}
}

func TestAReviewIsWrittenAsTheGoldenOne(t *testing.T) {
	w := newWorld()
	afterBreakGlass(t, w)
	require.NoError(t, closeReview(w, ""))
	stored := w.entries(t)["reviews/"+goldenReview().ID()]
	if *renew {
		var pretty bytes.Buffer
		require.NoError(t, json.Indent(&pretty, []byte(stored), "", "  "))
		require.NoError(t, os.WriteFile(filepath.Join("testdata", "schema1", "review.json"), append(pretty.Bytes(), '\n'), 0o600))
	}
	var got, want map[string]any
	require.NoError(t, json.Unmarshal([]byte(stored), &got))
	require.NoError(t, json.Unmarshal([]byte(golden(t, "review")), &want))
	require.NotEmpty(t, got["journal_hash"])
	got["journal_hash"] = want["journal_hash"] // of records that name what was drawn
	require.Equal(t, want, got)
}

func TestAReviewReadsBack(t *testing.T) {
	w := newWorld()
	withKey(2, false)(t, w)
	id := goldenReview().ID()
	_, err := w.Review(ctx, id)
	require.ErrorIs(t, err, refusal.ErrNotFound)
	require.NoError(t, breakGlass(w, ""))
	w.restart()
	got, err := w.Review(ctx, id)
	require.NoError(t, err)
	want := goldenReview()
	want.Began = got.Began
	require.Equal(t, want, got)
	require.Equal(t, "resume", w.journal(t, "orders")[got.Began-1].Act)
	done, err := w.TookEffect(ctx, got)
	require.NoError(t, err)
	require.True(t, done)
	ids, err := w.ReviewIDs(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{id}, ids)
	require.NoError(t, w.DropReview(ctx, id))
	_, err = w.Review(ctx, id)
	require.ErrorIs(t, err, refusal.ErrNotFound)
}

func TestTheReviewOfAnActThatFailedTookNoEffect(t *testing.T) {
	w := newWorld()
	withKey(2, false)(t, w)
	w.disk.FailWrite(3, false) // custody, the review, the record of the key
	require.Error(t, breakGlass(w, ""))
	w.disk.Heal()
	r, err := w.Review(ctx, goldenReview().ID())
	require.NoError(t, err)
	done, err := w.TookEffect(ctx, r)
	require.NoError(t, err)
	require.False(t, done)
	require.NoError(t, breakGlass(w, ""))
	again, err := w.Review(ctx, goldenReview().ID())
	require.NoError(t, err)
	require.Greater(t, again.Began, r.Began, "the second try has the review of the first")
	done, err = w.TookEffect(ctx, again)
	require.NoError(t, err)
	require.True(t, done)
}

func TestAVerdictThatIsRefusedOrTheSameWritesNothing(t *testing.T) {
	w := newWorld()
	afterBreakGlass(t, w)
	before := w.entries(t)
	refused := errors.New("refused")
	review := goldenReview()
	_, err := w.ChangeReview(ctx, review.ID(), review.Content.Subject, func(now consent.Review) (consent.Review, lifecycle.Event, error) {
		now.Verdict = consent.Rejected
		return now, lifecycle.Event{}, refused
	})
	require.ErrorIs(t, err, refused)
	_, err = w.ChangeReview(ctx, review.ID(), review.Content.Subject, func(now consent.Review) (consent.Review, lifecycle.Event, error) {
		return now, lifecycle.Event{}, nil
	})
	require.NoError(t, err)
	require.Equal(t, before, w.entries(t))
}

// TestAReviewUnderAnotherNameIsDamage: what was done is what the id says.
func TestAReviewUnderAnotherNameIsDamage(t *testing.T) {
	w := newWorld()
	afterBreakGlass(t, w)
	id := goldenReview().ID()
	for _, change := range []func(r map[string]any){
		func(r map[string]any) { r["digest"] = "00" },
		func(r map[string]any) { r["content"].(map[string]any)["reason"] = "another" },
	} {
		record := map[string]any{}
		require.NoError(t, json.Unmarshal([]byte(w.entries(t)["reviews/"+id]), &record))
		change(record)
		altered, err := json.Marshal(record)
		require.NoError(t, err)
		damaged := load(t, map[string]string{"reviews/" + id: string(altered)})
		_, err = damaged.Review(ctx, id)
		require.ErrorIs(t, err, store.ErrCorrupt)
	}
}

func TestEveryFieldOfAReviewIsStored(t *testing.T) {
	n := 0
	want := consent.Review{}
	fill(reflect.ValueOf(&want).Elem(), &n)
	want.Rule = goldenReview().Rule
	data, err := json.Marshal(want)
	require.NoError(t, err)
	var got consent.Review
	require.NoError(t, json.Unmarshal(data, &got))
	require.Equal(t, want, got)
}
