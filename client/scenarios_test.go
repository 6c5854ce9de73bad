// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package client_test

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client"
	"github.com/keylife/vault-plugin-keylife/client/clienttest"
	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
)

// scenario is one of testdata/scenarios.json, which both clients run.
type scenario struct {
	Name   string
	Bounds map[string]any
	Token  struct {
		TTL       string
		Renewable bool
	}
	Offline string
	Steps   []step
}

type step struct {
	Do, Key, As, Source, State, By, Is, Are, Op, Within string
	AsMany                                              []string
	Of                                                  []string
	Want                                                []string
	Version                                             int
	AtLeast                                             int
	Requests                                            map[string]int
	Context                                             client.Context
}

// UnmarshalJSON takes one text where a list of one is meant.
func (s *step) UnmarshalJSON(text []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return err
	}
	targets := map[string]any{
		"do": &s.Do, "key": &s.Key, "source": &s.Source, "state": &s.State, "by": &s.By, "are": &s.Are, "op": &s.Op, "within": &s.Within,
		"version": &s.Version, "at_least": &s.AtLeast, "requests": &s.Requests, "context": &s.Context,
	}
	lists := map[string]*[]string{"as": &s.AsMany, "of": &s.Of, "want": &s.Want}
	for name, value := range fields {
		var err error
		switch {
		case name == "is":
			if json.Unmarshal(value, &s.Is) != nil {
				err = json.Unmarshal(value, &s.Version)
			}
		case lists[name] != nil && value[0] == '"':
			*lists[name] = make([]string, 1)
			err = json.Unmarshal(value, &(*lists[name])[0])
		case lists[name] != nil:
			err = json.Unmarshal(value, lists[name])
		case targets[name] != nil:
			err = json.Unmarshal(value, targets[name])
		default:
			err = errors.New("scenario: what is " + name + "?")
		}
		if err != nil {
			return err
		}
	}
	if len(s.AsMany) == 1 {
		s.As = s.AsMany[0]
	}
	return nil
}

func TestScenarios(t *testing.T) {
	text, err := os.ReadFile("testdata/scenarios.json")
	require.NoError(t, err)
	var all struct{ Scenarios []scenario }
	require.NoError(t, json.Unmarshal(text, &all))
	require.NotEmpty(t, all.Scenarios)
	for _, s := range all.Scenarios {
		t.Run(s.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newPlay(t, s).run() })
		})
	}
}

// play is a scenario that is run.
type play struct {
	*testing.T
	scenario
	vault    *clienttest.FakeVault
	client   *client.Client
	seen     *seen
	messages map[string][]byte
	asked    map[string]int
	off      atomic.Int64
	path     string
}

func newPlay(t *testing.T, s scenario) *play {
	p := &play{T: t, scenario: s, vault: clienttest.New(t), seen: &seen{}, messages: map[string][]byte{}, path: filepath.Join(t.TempDir(), "sealed")}
	p.vault.CreateKey("orders")
	p.vault.CreateKey("payments")
	if s.Token.TTL != "" {
		p.vault.SetTokens(p.duration(s.Token.TTL), s.Token.Renewable)
	}
	junk, err := kle1.New("orders", "vault:v1:"+string(make64(88)), make64(32))
	require.NoError(t, err)
	p.messages["#junk"], err = junk.Seal(nil, row)
	require.NoError(t, err)
	p.restart()
	return p
}

func make64(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'A'
	}
	return b
}

var row = client.Context{"row": "1"}

func (p *play) duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	require.NoError(p, err)
	return d
}

// restart makes a new client and does not close the one before, until the end of the test.
func (p *play) restart() {
	config := client.Config{Vault: p.vault.Client(), Auth: p.vault.Auth(), Metrics: p.seen}
	bounds := reflect.ValueOf(&config.Bounds).Elem()
	for name, value := range p.Bounds {
		switch v := value.(type) {
		case string:
			bounds.FieldByName(name).SetInt(int64(p.duration(v)))
		case float64:
			bounds.FieldByName(name).SetInt(int64(v))
		}
	}
	if p.Offline != "" {
		config.Offline = client.Offline{Path: p.path, For: p.duration(p.Offline), Sealer: func() ([]byte, error) { return make64(32), nil }}
	}
	c, err := client.WithoutJitter(config, &p.off)
	require.NoError(p, err)
	p.Cleanup(func() { _ = c.Close() })
	p.client = c
}

func (p *play) run() {
	for i, s := range p.Steps {
		p.Logf("%d: %+v", i, s)
		act := p.act(s.Do)
		require.NotNil(p, act, "scenario: how to %s?", s.Do)
		start := time.Now()
		act(s)
		if s.Within != "" {
			require.LessOrEqual(p, time.Since(start), p.duration(s.Within))
		}
		synctest.Wait()
		if p.Offline != "" { // the file is written within a second
			time.Sleep(time.Second)
			synctest.Wait()
		}
	}
}

func (p *play) act(do string) func(step) {
	if act, ok := map[string]func(step){
		"encrypt": p.encrypt, "decrypt": p.decrypt, "decrypt_some": p.decrypt, "rewrap": p.rewrap, "inspect": p.inspect, "refresh": p.refresh, "version": p.version,
		"same_data_key": p.compare, "other_data_key": p.compare, "asked": p.countRequests,
	}[do]; ok {
		return act
	}
	return map[string]func(step){
		"restart":        func(step) { p.restart() },
		"advance":        func(s step) { time.Sleep(p.duration(s.By)) },
		"put_clock_back": func(s step) { p.off.Add(-int64(p.duration(s.By))) },
		"vault":          func(s step) { p.vault.SetOutage(outageOf(s.Is)) },
		"rotate":         func(s step) { p.vault.Rotate(s.Key) },
		"state":          func(s step) { p.vault.SetState(s.Key, s.Version, clienttest.State(s.Is)) },
		"deny":           func(s step) { p.vault.Deny(s.Key, s.Op) },
		"allow":          func(s step) { p.vault.Allow(s.Key, s.Op) },
		"revoke_tokens":  func(step) { p.vault.RevokeTokens() },
		"logins":         func(s step) { p.vault.RefuseLogins(s.Are == "refused") },
		"renewed":        func(s step) { require.GreaterOrEqual(p, p.vault.Requests()[clienttest.Renew], s.AtLeast) },
	}[do]
}

func outageOf(is string) clienttest.Outage {
	if is == "up" {
		return clienttest.None
	}
	return clienttest.Outage(is)
}

func (p *play) encrypt(s step) {
	message, err := p.client.Key(s.Key).Encrypt(p.Context(), []byte("of "+s.As), contextOf(s))
	p.check(s, err)
	if err != nil {
		return
	}
	p.messages[s.As] = message
	if s.Version != 0 {
		info, err := client.Inspect(message)
		require.NoError(p, err)
		require.Equal(p, s.Version, info.Version)
	}
}

func contextOf(s step) client.Context {
	if s.Context != nil {
		return s.Context
	}
	return row
}

func (p *play) decrypt(s step) {
	if len(s.Of) == 1 {
		plaintext, err := p.client.Key(s.Key).Decrypt(p.Context(), p.messages[s.Of[0]], contextOf(s))
		p.check(s, err)
		if err == nil {
			require.NotEmpty(p, plaintext)
		}
		return
	}
	var messages [][]byte
	for _, name := range s.Of {
		messages = append(messages, p.messages[name])
	}
	p.seen.operations = nil
	plaintexts, _ := p.client.Key(s.Key).DecryptMany(p.Context(), messages, contextOf(s))
	require.Len(p, p.seen.operations, len(s.Of))
	for i, o := range p.seen.operations {
		want := "ok"
		if len(s.Want) > 0 {
			want = s.Want[min(i, len(s.Want)-1)]
		}
		require.Equal(p, want, string(o.Outcome))
		if s.Source != "" {
			require.Equal(p, s.Source, string(o.Source))
		}
		require.Equal(p, want == "ok", plaintexts[i] != nil)
	}
}

func (p *play) rewrap(s step) {
	var messages [][]byte
	for _, name := range s.Of {
		messages = append(messages, p.messages[name])
	}
	rewrapped, err := p.client.Key(s.Key).Rewrap(p.Context(), messages)
	p.check(s, err)
	for i, name := range s.AsMany {
		p.messages[name] = rewrapped[i]
	}
}

func (p *play) inspect(s step) {
	info, err := client.Inspect(p.messages[s.Of[0]])
	require.NoError(p, err)
	require.Equal(p, s.Version, info.Version)
}

func (p *play) refresh(s step) { require.NoError(p, p.client.Key(s.Key).Refresh(p.Context())) }

func (p *play) version(s step) {
	version, err := p.client.Key(s.Key).Version(p.Context())
	require.NoError(p, err)
	require.Equal(p, s.Version, version)
}

func (p *play) compare(s step) {
	var edks []string
	for _, name := range s.Of {
		m, err := kle1.Parse(p.messages[name])
		require.NoError(p, err)
		edks = append(edks, string(m.EDK))
	}
	for _, edk := range edks[1:] {
		require.Equal(p, s.Do == "same_data_key", edk == edks[0])
	}
}

func (p *play) countRequests(s step) {
	now := maps.Clone(p.vault.Requests())
	for op, want := range s.Requests {
		require.Equal(p, want, now[op]-p.asked[op], op)
	}
	p.asked = now
}

// check holds what a step wants against its error and what the metrics were told.
func (p *play) check(s step, err error) {
	p.Helper()
	want := "ok"
	if len(s.Want) > 0 {
		want = s.Want[0]
	}
	last := p.seen.last()
	require.Equal(p, want, string(last.Outcome), "%v", err)
	require.Equal(p, want == "ok", err == nil)
	var state *client.KeyStateError
	require.Equal(p, want == "key_state", errors.As(err, &state), "%v", err)
	for name, is := range map[string]error{
		"unavailable": client.ErrUnavailable, "access_denied": client.ErrAccessDenied, "invalid_message": client.ErrInvalidMessage,
	} {
		require.Equal(p, want == name, errors.Is(err, is), "%s: %v", name, err)
	}
	if s.State != "" {
		require.Equal(p, s.State, state.State)
	}
	if s.Source != "" {
		require.Equal(p, s.Source, string(last.Source))
	}
}
