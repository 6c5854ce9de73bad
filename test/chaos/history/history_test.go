// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package history_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/chaos/history"
)

func TestAHistoryReadsBackAsItWasWritten(t *testing.T) {
	began := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	h := history.New(began)
	hold := true
	for _, outcome := range []history.Outcome{history.Done, history.Refused, history.Unknown, history.Unknown} {
		h.Append(history.Operation{ID: h.Next(), Client: "c", Act: "hold", Key: "k", Hold: &hold, Outcome: outcome, Answered: h.Since(began.Add(time.Second))})
	}
	h.Happened(history.Event{Kind: history.Clock, Shift: time.Hour})
	final := &history.Final{Now: began, Keys: map[string]history.Key{"k": {State: "enabled", Versions: map[int]history.Version{1: {State: "active", Created: began}}}}}
	var file strings.Builder
	require.NoError(t, h.Write(&file, final))
	require.Equal(t, 6, strings.Count(file.String(), "\n"))

	read, readFinal, err := history.Read(strings.NewReader(file.String()))
	require.NoError(t, err)
	require.Equal(t, h.Operations, read.Operations)
	require.Equal(t, h.Events, read.Events)
	require.Equal(t, final, readFinal)
	require.Equal(t, 5, read.Next(), "the numbers go on")
	require.Equal(t, map[history.Outcome]int{history.Done: 1, history.Refused: 1, history.Unknown: 2}, read.Count())
}

func TestAFileThatIsNoHistoryIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"{}\n":              "line 1: neither an operation, nor an event, nor the final look",
		"{\"event\":{}}\nx": "line 2: ",
	} {
		_, _, err := history.Read(strings.NewReader(text))
		require.ErrorContains(t, err, want)
	}
}
