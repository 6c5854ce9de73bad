// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent_test

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// kind is an act that a rule asks for consent to.
type kind struct {
	name    string
	gate    acts.Gate
	mount   bool            // the rule is one of config/approvals, not of policy pci
	who     string          // asks; empty: alice
	prepare func(o *office) // with key orders there, of two versions, and before the rule is
	run     func(o *office) mounttest.Answer
	done    func(o *office) bool // whether it took effect
	twofold bool                 // before it, the key that it takes the place of is deleted
}

func (x kind) asker() string {
	if x.who == "" {
		return "alice"
	}
	return x.who
}

// do sends the request.
func (x kind) do(o *office) mounttest.Answer {
	o.as(x.asker())
	return x.run(o)
}

const oneOf = "1 of " + approvers

func wrote(path string, kv ...any) func(o *office) mounttest.Answer {
	return func(o *office) mounttest.Answer { return o.Write(path, append([]any{"reason", why}, kv...)...) }
}

func read(path string) func(o *office) mounttest.Answer {
	return func(o *office) mounttest.Answer { return o.Read(path, "reason", why) }
}

func deleted(path string) func(o *office) mounttest.Answer {
	return func(o *office) mounttest.Answer { return o.Delete(path, "reason", why) }
}

// steps sends acts on key orders without a rule yet.
func steps(paths ...string) func(o *office) {
	return func(o *office) {
		o.t.Helper()
		for _, path := range paths {
			o.Must(o.as("dave").Write("keys/orders/"+path, "reason", why))
		}
	}
}

// shows reports whether a field reads so.
func shows(path, field string, want any) func(o *office) bool {
	return func(o *office) bool { return o.as("auditor").Read(path).Data[field] == want }
}

// is reports whether version 1 of key orders is in the state.
func is(state string) func(o *office) bool {
	return func(o *office) bool { return o.as("auditor").StatesOf("orders")[0] == state }
}

// loose prepares policy loose and what else a key needs that is to leave.
func loose(kv ...any) func(o *office) {
	return func(o *office) {
		o.t.Helper()
		o.Must(o.as("root").Write("policies/loose", "owner", "payments", "destroy_delay", "24h", "exportable", true, "allow_plaintext_backup", true))
		if len(kv) > 0 {
			o.Must(o.as("root").Write("keys/orders/config", append([]any{"reason", why}, kv...)...))
		}
	}
}

var archived = steps("versions/1/archive")

func kinds() []kind {
	return slices.Concat(kindsOfVersions(), kindsOfKeys(), kindsOfMaterial(), kindsOfMounts())
}

func kindsOfVersions() []kind {
	return []kind{
		{name: "promote", gate: "promote", prepare: func(o *office) {
			o.Must(o.as("dave").Write("keys/orders/rotate", "stage", true, "reason", why))
		}, run: wrote("keys/orders/versions/3/promote"), done: func(o *office) bool { return o.StatesOf("orders")[2] == "active" }},
		{name: "archive", gate: "archive", run: wrote("keys/orders/versions/1/archive"), done: is("archived")},
		{name: "resume", gate: "resume", prepare: steps("versions/1/suspend"), run: wrote("keys/orders/versions/1/resume"), done: is("deactivated")},
		{name: "recover for a time", gate: "recover", prepare: archived, run: wrote("keys/orders/versions/1/recover", "time_limit", "1h"), done: is("deactivated")},
		{name: "retire", gate: "retire", prepare: archived, run: wrote("keys/orders/versions/1/retire"), done: is("retired")},
		{name: "restore", gate: "restore", prepare: steps("versions/1/archive", "versions/1/retire"), run: wrote("keys/orders/versions/1/restore"), done: is("archived")},
	}
}

func kindsOfKeys() []kind {
	return []kind{
		{name: "rotate", gate: "rotate", run: wrote("keys/orders/rotate"), done: func(o *office) bool { return o.as("auditor").Latest("orders") != 2 }},
		{name: "rollback", gate: "rollback", run: wrote("keys/orders/rollback"), done: is("active")},
		{name: "archive the key", gate: "archive", run: wrote("keys/orders/archive"), done: shows("keys/orders", "state", "archived")},
		{name: "resume the key", gate: "resume", prepare: steps("suspend"), run: wrote("keys/orders/resume"), done: shows("keys/orders", "state", "enabled")},
		{name: "recover the key", gate: "recover", prepare: steps("archive"), run: wrote("keys/orders/recover"), done: shows("keys/orders", "state", "enabled")},
		{name: "retire the key", gate: "retire", prepare: steps("archive"), run: wrote("keys/orders/retire"), done: shows("keys/orders", "state", "retired")},
		{name: "restore the key", gate: "restore", prepare: steps("archive", "retire"), run: wrote("keys/orders/restore"), done: shows("keys/orders", "state", "archived")},
		{name: "lift the hold", gate: "unhold", prepare: steps("hold"), run: wrote("keys/orders/hold", "hold", false), done: shows("keys/orders", "legal_hold", false)},
		{name: "allow deletion", gate: "configure", run: wrote("keys/orders/config", "deletion_allowed", true), done: shows("keys/orders", "deletion_allowed", true)},
		{name: "lower the floor", gate: "recover", prepare: func(o *office) {
			o.Must(o.as("root").Write("keys/orders/config", "min_decryption_version", 2, "reason", why))
		}, run: wrote("keys/orders/config", "min_decryption_version", 1), done: shows("keys/orders", "min_decryption_version", 1)},
		{name: "bind to a looser policy", gate: "rebind", prepare: loose(), run: wrote("keys/orders/config", "policy", "loose"), done: shows("keys/orders", "policy", "loose")},
		{name: "detach", gate: "rebind", run: wrote("keys/orders/config", "policy", ""), done: shows("keys/orders", "policy", "")},
		{name: "loosen the policy", gate: "policy", run: wrote("policies/pci", "destroy_delay", "24h"), done: shows("policies/pci", "destroy_delay", "24h")},
		{name: "delete the policy", gate: "policy", prepare: func(o *office) {
			o.Must(o.as("root").Write("keys/orders/config", "policy", "", "reason", why))
		}, run: deleted("policies/pci"), done: func(o *office) bool { return o.as("auditor").Read("policies/pci").Status == 404 }},
	}
}

func kindsOfMaterial() []kind {
	return []kind{
		{name: "export", gate: "export", prepare: loose("exportable", true), run: read("export/encryption-key/orders")},
		{name: "export wrapped", gate: "export", prepare: func(o *office) {
			loose("exportable", true)(o)
			o.Must(o.as("root").Write("keys/there/import", "type", "rsa-2048", "public_key", outside().public))
		}, run: read("byok-export/there/orders")},
		{name: "back up", gate: "backup", prepare: loose("exportable", true, "allow_plaintext_backup", true), run: read("backup/orders")},
		{
			name: "import a key", gate: "import",
			run: func(o *office) mounttest.Answer {
				return wrote("keys/other/import", "policy", "pci", "ciphertext", wrapped(o, 7))(o)
			},
			done: func(o *office) bool { return o.as("auditor").Read("keys/other").Status == 200 },
		},
		{
			name: "import a version", gate: "import",
			prepare: func(o *office) {
				o.Must(o.as("root").Write("keys/other/import", "policy", "pci", "reason", why, "ciphertext", wrapped(o, 7)))
			},
			run: func(o *office) mounttest.Answer {
				return wrote("keys/other/import_version", "ciphertext", wrapped(o, 8))(o)
			},
			done: func(o *office) bool { return o.as("auditor").Latest("other") != 1 },
		},
		{
			name: "import a private half", gate: "import",
			prepare: func(o *office) {
				o.Must(o.as("root").Write("keys/other/import", "type", "rsa-2048", "policy", "pci", "reason", why, "public_key", outside().public))
			},
			run: func(o *office) mounttest.Answer {
				return wrote("keys/other/import_version", "version", 1, "ciphertext", o.Wrapped(outside().private))(o)
			},
			done: func(o *office) bool { return len(o.Storage.Key("other").PublicOnly) == 0 },
		},
		{
			name: "restore a backup", gate: "import",
			run: func(o *office) mounttest.Answer {
				return wrote("restore/other", "policy", "pci", "backup", backup())(o)
			},
			done: func(o *office) bool { return o.as("auditor").Read("keys/other").Status == 200 },
		},
		{
			name: "restore a backup in the place of a key", gate: "import",
			prepare: func(o *office) { o.Must(o.as("root").Write("keys/other", "owner", "before")) },
			run: func(o *office) mounttest.Answer {
				return wrote("restore/other", "policy", "pci", "backup", backup(), "force", true)(o)
			},
			done: func(o *office) bool {
				view := o.as("auditor").Read("keys/other")
				return view.Status == 200 && view.Data["owner"] != "before"
			},
			twofold: true,
		},
	}
}

func kindsOfMounts() []kind {
	return []kind{
		{name: "config/engine", gate: "config", mount: true, run: wrote("config/engine", "require_policy", true), done: shows("config/engine", "require_policy", true)},
		{name: "config/keys", gate: "config", mount: true, run: wrote("config/keys", "disable_upsert", true), done: shows("config/keys", "disable_upsert", true)},
		{name: "config/clock", gate: "clock", mount: true, run: wrote("config/clock", "acknowledge", true)},
		{name: "another signing key", gate: "custody-key", mount: true, run: wrote("custody/rotate-key")},
		{name: "config/approvals", gate: "approvals", mount: true, run: wrote("config/approvals", "review_within", 345600), done: shows("config/approvals", "review_within", 345600)},
		{name: "enrol", gate: "enrol", mount: true, who: "erin", prepare: func(o *office) { o.System.Person(id("erin"), "erin", approvers) }, run: func(o *office) mounttest.Answer {
			return wrote("approvers/acknowledge", "duties_hash", o.Must(o.Read("approvers/duties")).Data["duties_hash"])(o)
		}, done: func(o *office) bool { return o.as("auditor").Read("approvers/"+id("erin")).Status == 200 }},
		{name: "unenrol", gate: "enrol", mount: true, run: deleted("approvers/" + id("dave")), done: func(o *office) bool {
			return o.as("auditor").Read("approvers/"+id("dave")).Status == 404
		}},
	}
}

// outside is an RSA key that the mount did not make, and a backup of a key: made once, as both take long.
var outside = sync.OnceValue(func() (key struct {
	private []byte
	public  string
},
) {
	key.private, key.public = mounttest.OutsideRSA(failing{})
	return key
})

// failing is a test that cannot go on.
type failing struct{ testing.TB }

func (failing) Helper()                   {}
func (failing) Errorf(f string, _ ...any) { panic(f) }
func (failing) FailNow()                  { panic("cannot go on") }

var aBackup struct {
	sync.Once
	text string
}

func backup() string { return aBackup.text }

func makeBackup(t *testing.T) {
	t.Helper()
	aBackup.Do(func() {
		m := mounttest.New(t)
		m.Must(m.Write("keys/k", "exportable", true, "allow_plaintext_backup", true))
		aBackup.text = m.Must(m.Read("backup/k")).Data["backup"].(string)
	})
}

// wrapped is a key as an import takes it, of bytes that are all the same.
func wrapped(o *office, of byte) string { return o.Wrapped(bytes.Repeat([]byte{of}, 32)) }

// rules is the path of what asks for consent to the act.
func (x kind) rules() string {
	if x.mount {
		return "config/approvals"
	}
	return "policies/pci"
}

// gates are those that rules beside the act's own can name.
func (x kind) gates() []acts.Gate {
	if x.mount {
		return slices.DeleteFunc(acts.Gates(acts.Mount), func(g acts.Gate) bool { return g == acts.GateApprovals })
	}
	return acts.Gates(acts.Version, acts.Key)
}

// stand makes a mount in which the act is one request away, and needs consent.
func (x kind) stand(t *testing.T) *office {
	t.Helper()
	var o *office
	if strings.HasPrefix(x.name, "import") {
		o = openOn(mounttest.NewForImports(t))
	} else {
		o = open(t)
	}
	settings := []any{"owner", "payments", "staging_time", "0", "min_versions_kept", 0, "quiet_period", "0", "rollback_window", "24h", "destroy_delay", "48h", "exportable", true, "allow_plaintext_backup", true, "post_checks", "round_trip"}
	o.Must(o.as("root").Write("policies/pci", settings...))
	o.Must(o.as("founder").Write("keys/orders", "policy", "pci", "reason", why))
	o.Must(o.as("founder").Write("keys/orders/rotate", "reason", why))
	if x.prepare != nil {
		x.prepare(o)
	}
	o.Must(o.as("root").Write(x.rules(), "approvals", map[string]any{string(x.gate): oneOf}, "reason", why))
	return o
}

// consented makes the request, with the consent to it.
func (x kind) consented(o *office) (request string) {
	o.t.Helper()
	refused := x.do(o)
	require.Equal(o.t, 428, refused.Status, refused.Err)
	request = idIn.FindString(refused.Err)
	require.NotEmpty(o.t, request, refused.Err)
	o.approve(request, "bob")
	return request
}

// executions returns how often custody says that the act of a request took effect.
func executions(o *office, request string) (n int) {
	o.t.Helper()
	asks := []string{"approval-request", "approve", "deny", "withdraw"}
	for _, chain := range chains(o) {
		journal := o.Storage.JournalOf(chain)
		for _, begin := range journal {
			if begin.Kind == custody.Begin && begin.Details["approval"] == request && !slices.Contains(asks, begin.Act) &&
				mounttest.OutcomeOf(journal, begin.Seq) == custody.Done {
				n++
			}
		}
	}
	return n
}

func chains(o *office) (names []string) {
	for path := range o.Storage.All() {
		if rest, ok := strings.CutPrefix(path, "journal/"); ok {
			name, _, _ := strings.Cut(rest, "/")
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// TestEveryGateIsShutWithoutConsent goes through all that a rule can name: refused and filed, approved, done, and then asked for anew.
func TestEveryGateIsShutWithoutConsent(t *testing.T) {
	makeBackup(t)
	mounttest.NewForImports(t)
	gates := map[acts.Gate]bool{acts.GateKEKDestroy: true} // needs a token: internal/keks has the test
	for _, x := range kinds() {
		gates[x.gate] = true
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			o := x.stand(t)
			request := x.consented(o)
			require.Equal(t, "approved", o.state(request))
			require.Zero(t, executions(o, request))
			x.requireDone(o, false)
			o.Must(x.do(o))
			x.requireDone(o, true)
			require.Equal(t, "executed", o.state(request))
			require.Equal(t, 1, executions(o, request))
			again := x.do(o)
			if again.Status == 428 {
				require.Equal(t, 1, executions(o, request))
			}
			mounttest.RequireCustodyWhole(t, o.as("auditor").Mount)
		})
	}
	for _, gate := range acts.Gates(acts.Version, acts.Key, acts.Policy, acts.Mount) {
		require.True(t, gates[gate], "a rule can name %q, and nothing here says that it is asked", gate)
	}
}

func (x kind) requireDone(o *office, want bool) {
	o.t.Helper()
	if x.done != nil {
		require.Equal(o.t, want, x.done(o))
	}
}
