// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// fate is what an operator was told about an act.
type fate int

const (
	unknown fate = iota // no answer, or 5xx
	refused             // 4xx
	done                // 2xx
)

// torture is for how long the suites run that kill and give up, by KEYLIFE_TORTURE; zero: as long as make test has time for.
func torture(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("KEYLIFE_TORTURE")
	if text == "" {
		return 0
	}
	length, err := time.ParseDuration(text)
	require.NoError(t, err, "KEYLIFE_TORTURE")
	return length
}

// operators ask for acts, each with a reason of its own, by which custody tells what became of it.
type operators struct {
	server *harness.Server
	lasted atomic.Int64 // how many nanoseconds an act takes that nobody gives up
	mu     sync.Mutex
	asked  map[string]fate // by reason
}

// ask sends one act; op leads the reason, and is what the story of the key is told by.
func (o *operators) ask(ctx context.Context, method, path, op string, namesAndValues ...any) (fate, harness.Reply) {
	o.mu.Lock()
	reason := fmt.Sprintf("%s, which is act %d of the operators", op, len(o.asked)+1)
	o.asked[reason] = unknown
	o.mu.Unlock()
	request := harness.Request{Method: method, Path: "keylife/" + path, Context: ctx}
	if method == http.MethodDelete {
		request.Path += "?reason=" + url.QueryEscape(reason)
	} else {
		request.Body = object(append(namesAndValues, "reason", reason)...)
	}
	reply, err := o.server.Send(request)
	told := toldBy(reply.Status, err)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked[reason] = told
	return told, reply
}

func toldBy(status int, err error) fate {
	switch {
	case err != nil || status >= http.StatusInternalServerError:
		return unknown
	case status >= http.StatusBadRequest:
		return refused
	default:
		return done
	}
}

func (o *operators) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.asked)
}

// story is what custody has of the acts of one key that were done, in order.
type story []custody.Record

// stories reads the export of the mount, which has to verify offline, and leaves out what failed.
func stories(t *testing.T, s *harness.Server, mount string) map[string]story {
	t.Helper()
	e := gather(t, s, mount, 1000)
	said, code := e.verify(t, e.lines)
	require.Zero(t, code, said)
	return storiesIn(t, e.lines)
}

func storiesIn(t *testing.T, lines []string) map[string]story {
	t.Helper()
	type act struct {
		key string
		seq int
	}
	begins, all := map[act]custody.Record{}, map[string]story{}
	for _, line := range lines {
		record, err := custody.Decode([]byte(line))
		require.NoError(t, err)
		if record.Kind == custody.Begin {
			begins[act{record.Key, record.Seq}] = record
		} else if record.Outcome == custody.Done {
			all[record.Key] = append(all[record.Key], begins[act{record.Key, record.Of}])
		}
	}
	return all
}

// requireOnce holds custody against what the operators were told: nothing is done twice, what was acknowledged is done,
// and nothing is that was refused. Acts that change nothing when they are asked for again are acknowledged and not kept.
func (o *operators) requireOnce(t *testing.T, all map[string]story, repeatable func(reason string) bool) {
	t.Helper()
	times := map[string]int{}
	for _, s := range all {
		for _, act := range s {
			times[act.Reason]++
		}
	}
	for reason, told := range o.asked {
		n := times[reason]
		require.LessOrEqual(t, n, 1, "%s: is in custody %d times", reason, n)
		require.False(t, told == refused && n == 1, "%s: was refused and is done", reason)
		require.False(t, told == done && n == 0 && !repeatable(reason), "%s: was acknowledged and is not in custody", reason)
	}
}

// followed returns the last number that was given before the act: an act may say which numbers it gave up, because others that
// were cut short have stored versions under them.
func followed(t *testing.T, latest int, act custody.Record) int {
	t.Helper()
	var from, to int
	if text := act.Details["abandoned_versions"]; text != "" {
		_, err := fmt.Sscanf(text, "%d to %d", &from, &to)
		require.NoError(t, err, text)
		require.Equal(t, latest+1, from, "%s gives up %s", act.Key, text)
		return to
	}
	return latest
}

// requireLeadsTo holds the story against the key as it is: version numbers without a gap or a repetition, each with the
// fingerprint that custody has of it, and what is compromised and held.
func (s story) requireLeadsTo(t *testing.T, server *harness.Server, key string) {
	t.Helper()
	latest, hold, compromised, exists := 0, false, map[int]bool{}, false
	prints := map[int]string{}
	for _, act := range s {
		switch act.Act {
		case "create":
			require.False(t, exists, "%s is created while it is there", key)
			latest, hold, compromised, exists, prints = 1, false, map[int]bool{}, true, map[int]string{}
		case "delete":
			require.True(t, exists, "%s is deleted while it is not there", key)
			exists = false
		case "rotate":
			latest = followed(t, latest, act) + 1
			require.Equal(t, []int{latest}, act.Versions, "%s: a number is left out, or given twice", key)
			prints[latest] = act.Details["fingerprint"]
		case "compromise":
			compromised[act.Versions[0]] = true
			if act.Details["replaced_by"] == "new version" {
				latest = followed(t, latest, act) + 1
				prints[latest] = act.Details["successor_fingerprint"]
			}
		case "hold":
			require.NotEqual(t, hold, strings.HasPrefix(act.Reason, "hold"), "%s: record %d changes nothing", key, act.Seq)
			hold = !hold
		}
	}
	reply := server.Do(t, http.MethodGet, "keylife/keys/"+key, nil)
	require.Equal(t, exists, reply.Status == http.StatusOK, "%s: %v", key, reply.Body)
	if !exists {
		return
	}
	require.Equal(t, latest, number(reply.Data()["latest_version"]), key)
	require.Equal(t, hold, reply.Data()["legal_hold"], key)
	for v := 1; v <= latest; v++ {
		version := server.Must(t, http.MethodGet, fmt.Sprintf("keylife/keys/%s/versions/%d", key, v), nil)
		require.Equal(t, compromised[v], version["state"] == "compromised", "%s version %d is %s", key, v, version["state"])
		if prints[v] != "" {
			require.Equal(t, prints[v], version["fingerprint"], "%s version %d has another material", key, v)
		}
	}
}
