// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package check_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/chaos/check"
	"github.com/keylife/vault-plugin-keylife/test/chaos/history"
)

// story is a history of one key, made by hand. Each operation takes a second and begins a second behind the one before.
type story struct {
	t       *testing.T
	history *history.History
	records []line
	now     time.Duration
	began   time.Time
}

func tell(t *testing.T) *story {
	s := &story{t: t, history: &history.History{}, began: time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)}
	s.act(history.Operation{Act: "create"}, 1, "none", "active")
	return s
}

// send is an operation that is in no record.
func (s *story) send(o history.Operation) history.Operation {
	o.ID, o.Key, o.Sent, o.Answered = len(s.history.Operations)+1, "k", s.now+time.Second, s.now+2*time.Second
	s.now = o.Answered
	if o.Outcome == "" {
		o.Outcome = history.Done
	}
	if o.Reason == "" && o.Act != "decrypt" && o.Act != "encrypt" && o.Act != "approve" {
		o.Reason = fmt.Sprintf("%s, which is operation %d", o.Act, o.ID)
	}
	s.history.Append(o)
	return o
}

// act is an operation and its record.
func (s *story) act(o history.Operation, version int, from, to string) history.Operation {
	o = s.send(o)
	s.record(o, version, from, to)
	return o
}

func (s *story) record(o history.Operation, version int, from, to string) {
	begin := line{"key": "k", "key_id": "id", "kind": "begin", "act": o.Act, "reason": o.Reason, "time": s.began.Add(s.now).Format(time.RFC3339), "from": from, "to": to}
	if version > 0 {
		begin["versions"] = []int{version}
	}
	s.records = append(s.records, begin, line{"key": "k", "kind": "end", "outcome": "done"})
}

// end is the last look, at what the story tells.
func (s *story) end(key history.Key) *history.Final {
	s.now += time.Second
	well := history.Verdict{Valid: true}
	return &history.Final{
		Now: s.began.Add(s.now), At: s.now, Keys: map[string]history.Key{"k": key}, Export: chained(s.t, s.records), Offline: well, Mount: well,
	}
}

// oneActive is a key with one version, as it is shown.
func oneActive(state string) history.Key {
	return history.Key{State: "enabled", Latest: 1, Primary: 1, Floor: 1, Versions: map[int]history.Version{1: {State: state}}}
}

func (s *story) requireFound(final *history.Final, want ...string) {
	s.t.Helper()
	findings := check.Check(s.history, final)
	require.Equal(s.t, want, kinds(findings), "%v", findings)
}

const ciphertext = "vault:v1:AAAA"

func encrypt() history.Operation {
	return history.Operation{Act: "encrypt", Version: 1, Text: history.Digest("text"), Ciphertext: ciphertext}
}

func decrypt(outcome history.Outcome, why string) history.Operation {
	o := history.Operation{Act: "decrypt", Version: 1, Text: history.Digest("text"), From: ciphertext, Outcome: outcome, Error: why}
	if outcome == history.Done {
		o.Opened = o.Text
	}
	return o
}

const isSuspended = "version 1 is suspended [version_suspended]"

func TestAUseIsJudgedByTheStatesThatTheKeyCanHaveBeenIn(t *testing.T) {
	for _, c := range []struct {
		name          string
		suspend       history.Outcome
		before, after history.Operation // the decrypt before the suspension, and the one behind it
		found         []string
	}{
		{"as it should be", history.Done, decrypt(history.Done, ""), decrypt(history.Refused, isSuspended), nil},
		{"denied before", history.Done, decrypt(history.Refused, isSuspended), decrypt(history.Refused, isSuspended), []string{check.DeniedAnyway}},
		{"done behind", history.Done, decrypt(history.Done, ""), decrypt(history.Done, ""), []string{check.UsedAnyway}},
		{"done behind what may come later", history.Unknown, decrypt(history.Done, ""), decrypt(history.Done, ""), nil},
		{"denied behind what may have come", history.Unknown, decrypt(history.Done, ""), decrypt(history.Refused, isSuspended), nil},
		{"lost the text", history.Done, decrypt(history.Refused, "cipher: message authentication failed"), decrypt(history.Refused, isSuspended), []string{check.Unopened}},
		{"no answer says nothing", history.Done, decrypt(history.Unknown, ""), decrypt(history.Unknown, ""), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := tell(t)
			s.send(encrypt())
			s.send(c.before)
			s.act(history.Operation{Act: "suspend", Version: 1, Outcome: c.suspend}, 1, "active", "suspended")
			s.send(c.after)
			s.requireFound(s.end(oneActive("suspended")), c.found...)
		})
	}
}

// What was seen once on a cluster: a use is denied as suspended, when the resume was acknowledged before it was sent.
func TestADenialBehindAResumeIsFound(t *testing.T) {
	s := tell(t)
	s.send(encrypt())
	s.act(history.Operation{Act: "suspend", Version: 1}, 1, "active", "suspended")
	s.act(history.Operation{Act: "resume", Version: 1}, 1, "suspended", "active")
	s.send(decrypt(history.Refused, isSuspended))
	s.requireFound(s.end(oneActive("active")), check.DeniedAnyway)
}

// A node that was stopped answers from memory until it hears that another one leads.
func TestAUseWhileANodeIsAwayMayBeAnsweredFromItsMemory(t *testing.T) {
	for _, away := range []bool{false, true} {
		s := tell(t)
		s.send(encrypt())
		s.act(history.Operation{Act: "suspend", Version: 1}, 1, "active", "suspended")
		from := s.now
		s.act(history.Operation{Act: "resume", Version: 1}, 1, "suspended", "active")
		s.send(decrypt(history.Refused, isSuspended))
		if away {
			s.history.Happened(history.Event{Kind: history.Away, From: from, To: s.now})
			s.requireFound(s.end(oneActive("active")))
			s.send(decrypt(history.Refused, isSuspended)) // when it is back
		}
		s.requireFound(s.end(oneActive("active")), check.DeniedAnyway)
	}
}

// What was seen once on a cluster: custody leads to archived, and the version is shown as deactivated and opens.
func TestAStateThatCustodyDoesNotLeadToIsFound(t *testing.T) {
	s := tell(t)
	s.send(encrypt())
	s.act(history.Operation{Act: "rotate"}, 2, "none", "active")
	s.act(history.Operation{Act: "archive", Version: 1}, 1, "deactivated", "archived")
	shown := history.Key{State: "enabled", Latest: 2, Primary: 2, Floor: 1, Versions: map[int]history.Version{1: {State: "deactivated"}, 2: {State: "active"}}}
	final := s.end(shown)
	final.Uses = []history.Use{{Operation: 2, Act: "decrypt", Outcome: history.Done, Opened: history.Digest("text")}}
	s.requireFound(final, check.UsedAnyway, check.WrongState)
}

// What nobody was told may be done, or not.
func TestWhatWasNotAnsweredMayBeThereOrNot(t *testing.T) {
	for _, there := range []bool{false, true} {
		s := tell(t)
		o, state := s.send(history.Operation{Act: "suspend", Version: 1, Outcome: history.Unknown}), "active"
		if there {
			s.record(o, 1, "active", "suspended")
			state = "suspended"
		}
		s.requireFound(s.end(oneActive(state)))
	}
}

// A command that needs consent is refused, which asks for it; others act on the key before it is repeated.
func TestAConsentIsAskedForByTheCommandThatIsRefused(t *testing.T) {
	s := tell(t)
	s.act(history.Operation{Act: "rotate"}, 2, "none", "active")
	s.act(history.Operation{Act: "archive", Version: 1}, 1, "deactivated", "archived")
	asked := s.send(history.Operation{Act: "retire", Version: 1, Outcome: history.Refused, Status: 428})
	request := asked
	request.Act = "approval-request"
	s.record(request, 0, "", "")
	s.act(history.Operation{Act: "suspend", Version: 2}, 2, "active", "suspended")
	s.act(history.Operation{Act: "retire", Version: 1, Reason: asked.Reason}, 1, "archived", "retired")
	shown := history.Key{State: "enabled", Latest: 2, Primary: 2, Floor: 1, Versions: map[int]history.Version{1: {State: "retired"}, 2: {State: "suspended"}}}
	s.requireFound(s.end(shown))
	s.send(history.Operation{Act: "retire", Version: 1, Reason: asked.Reason}) // once more, and there is one consent
	s.requireFound(s.end(shown), check.LostAct)
}

// A number under which an act that was cut short has stored a version is given up by the next one, which says so.
func TestANumberThatWasGivenUpIsARetiredVersion(t *testing.T) {
	s := tell(t)
	s.send(history.Operation{Act: "rotate", Outcome: history.Unknown})
	s.act(history.Operation{Act: "rotate"}, 3, "none", "active")
	shown := history.Key{State: "enabled", Latest: 3, Primary: 3, Floor: 1, Versions: map[int]history.Version{1: {State: "deactivated"}, 2: {State: "retired"}, 3: {State: "active"}}}
	s.requireFound(s.end(shown), check.Forbidden, check.WrongState)
	s.records[len(s.records)-2]["details"] = map[string]string{"abandoned_versions": "2 to 2"}
	s.requireFound(s.end(shown))
}

// A request for consent that was void is asked for anew, in another round. The votes of the one before are in custody alone.
func TestTheVotesOfARoundThatIsOverAreInCustody(t *testing.T) {
	for _, lost := range []bool{false, true} {
		s := tell(t)
		retire := s.send(history.Operation{Act: "retire", Version: 1, Outcome: history.Refused, Status: 428})
		ask := func(act string, round string) {
			s.record(history.Operation{Act: act, Reason: retire.Reason}, 0, "", "")
			begin := s.records[len(s.records)-2]
			begin["details"] = map[string]string{"approval": "ap-1", "round": round}
			if act == "approve" {
				begin["reason"], begin["actor"] = "", map[string]string{"entity_id": "bob"}
			}
		}
		ask("approval-request", "1")
		s.send(history.Operation{Act: "approve", Approval: "ap-1", Approver: "bob"})
		if !lost {
			ask("approve", "1")
		}
		s.send(history.Operation{Act: "retire", Version: 1, Reason: retire.Reason, Outcome: history.Refused, Status: 428})
		ask("approval-request", "2")
		final := s.end(oneActive("active"))
		final.Approvals = map[string]history.Approval{"ap-1": {State: "pending"}}
		if lost {
			s.requireFound(final, check.LostVote)
		} else {
			s.requireFound(final)
		}
	}
}

// fork tells of a snapshot that is taken, and restored behind what is done between.
func fork(t *testing.T, between func(s *story)) *story {
	s := tell(t)
	s.send(encrypt())
	s.history.Happened(history.Event{Kind: history.Snapshot, Name: "1", From: s.now + time.Second/4, To: s.now + time.Second/2})
	between(s)
	s.history.Happened(history.Event{Kind: history.Restored, Name: "1", From: s.now + time.Second/2, To: s.now + time.Second})
	s.now += 2 * time.Second
	return s
}

func TestWhatASnapshotHasTakenBackNeedNotBeThere(t *testing.T) {
	lost := func(s *story) {
		s.send(history.Operation{Act: "suspend", Version: 1})
		s.send(decrypt(history.Refused, isSuspended))
	}
	s := fork(t, lost)
	s.send(decrypt(history.Done, ""))
	s.requireFound(s.end(oneActive("active")))
}

func TestWhatWasAcknowledgedBeforeASnapshotHolds(t *testing.T) {
	s := fork(t, func(*story) {})
	final := s.end(oneActive("active"))
	final.Uses = []history.Use{{Operation: 2, Act: "decrypt", Outcome: history.Refused, Error: "cipher: message authentication failed"}}
	s.requireFound(final, check.Unopened)
}

func TestWhatWasAcknowledgedBehindARestoreHolds(t *testing.T) {
	s := fork(t, func(*story) {})
	s.send(history.Operation{Act: "suspend", Version: 1})
	s.requireFound(s.end(oneActive("active")), check.LostAct)
}

// A number that was given before the restore and is given again is another version: its ciphertexts need not open, and must not open to
// something else.
func TestANumberThatARestoreHasFreedIsAnotherVersion(t *testing.T) {
	s := fork(t, func(s *story) {
		s.send(history.Operation{Act: "rotate"})
		s.send(history.Operation{Act: "encrypt", Version: 2, Text: history.Digest("lost"), Ciphertext: "vault:v2:BBBB"})
	})
	s.act(history.Operation{Act: "rotate"}, 2, "none", "active")
	shown := history.Key{State: "enabled", Latest: 2, Primary: 2, Floor: 1, Versions: map[int]history.Version{1: {State: "deactivated"}, 2: {State: "active"}}}
	final := s.end(shown)
	lost := history.Use{Operation: 4, Act: "decrypt", Outcome: history.Refused, Error: "cipher: message authentication failed"}
	final.Uses = []history.Use{lost}
	s.requireFound(final)
	lost.Outcome, lost.Error, lost.Opened = history.Done, "", history.Digest("another")
	final.Uses = []history.Use{lost}
	s.requireFound(final, check.OtherText)
}
