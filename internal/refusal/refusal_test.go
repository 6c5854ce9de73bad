// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package refusal_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/stretchr/testify/require"
)

func ptr[T any](v T) *T { return &v }

func TestEachRefusalIsOfOneKind(t *testing.T) {
	kinds := []error{
		refusal.ErrInvalid, refusal.ErrNotFound, refusal.ErrExists, refusal.ErrConflict, refusal.ErrRefused,
	}
	for _, row := range []struct {
		err, kind error
		text      string
	}{
		{refusal.Invalidf("a %d", 1), refusal.ErrInvalid, "a 1"},
		{refusal.InvalidField("f", 7, "rule"), refusal.ErrInvalid, "f: 7: rule"},
		{refusal.NoKey("k"), refusal.ErrNotFound, `encryption key not found: no key is named "k"`},
		{refusal.NoPolicy("p"), refusal.ErrNotFound, `policy not found: no policy is named "p"`},
		{refusal.Existsf("key %s already existed", "k"), refusal.ErrExists, "key k already existed"},
		{refusal.Refusedf("no %s", "way"), refusal.ErrRefused, "no way"},
		{refusal.CheckRevision(ptr(1), 2), refusal.ErrConflict, "cas: 1: the current revision is 2"},
	} {
		require.EqualError(t, row.err, row.text)
		wrapped := fmt.Errorf("act: %w", row.err)
		for _, kind := range kinds {
			want := kind.Error() == row.kind.Error()
			require.Equal(t, want, errors.Is(row.err, kind), "%v is %v", row.err, kind)
			require.Equal(t, want, errors.Is(wrapped, kind), "%v is %v", wrapped, kind)
		}
	}
}

func TestInvalidFieldQuotesAndBoundsWhatTheCallerWrote(t *testing.T) {
	for _, row := range []struct {
		value any
		want  string
	}{
		{"", `f: "": rule`},
		{"two\nlines", `f: "two\nlines": rule`},
		{90 * time.Minute, "f: 1h30m0s: rule"},
		{true, "f: true: rule"},
		{strings.Repeat("x", 120), `f: "` + strings.Repeat("x", 120) + `": rule`},
		{strings.Repeat("x", 121), `f: "` + strings.Repeat("x", 120) + `...": rule`},
		{strings.Repeat("x", 119) + "é", `f: "` + strings.Repeat("x", 119) + `...": rule`},
		{[]string{strings.Repeat("x", 200)}, "f: [" + strings.Repeat("x", 119) + "...: rule"},
	} {
		require.EqualError(t, refusal.InvalidField("f", row.value, "rule"), row.want)
	}
}

func TestRevisionIsCheckedOnlyWhenTheCallerAsks(t *testing.T) {
	require.NoError(t, refusal.CheckRevision(nil, 3))
	require.NoError(t, refusal.CheckRevision(ptr(3), 3))
	require.NoError(t, refusal.CheckRevision(ptr(0), 0))
	for _, want := range []int{0, 2, 4, -1} {
		require.ErrorIs(t, refusal.CheckRevision(ptr(want), 3), refusal.ErrConflict)
	}
}
