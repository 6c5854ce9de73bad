// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package mounttest_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// complaint is a test that notes its failure and goes on.
type complaint struct {
	testing.TB
	failed bool
}

func (c *complaint) Errorf(string, ...any) { c.failed = true }

type stop struct{}

func (c *complaint) FailNow() { panic(stop{}) }

// complains reports whether do fails the test that m belongs to.
func complains(t *testing.T, do func(m *mounttest.Mount)) bool {
	t.Helper()
	c := &complaint{TB: t}
	func() {
		defer func() {
			if end := recover(); end != nil && end != any(stop{}) {
				panic(end)
			}
		}()
		do(mounttest.New(c))
	}()
	return c.failed
}

func TestEveryHelperComplains(t *testing.T) {
	withKey := func(m *mounttest.Mount) *mounttest.Mount { m.Must(m.Write("keys/k")); return m }
	for name, do := range map[string]func(m *mounttest.Mount){
		"Must":         func(m *mounttest.Mount) { m.Must(m.Read("keys/none")) },
		"Refused":      func(m *mounttest.Mount) { m.Refused(m.Write("keys/k")) },
		"Refused with": func(m *mounttest.Mount) { m.Refused(m.Write("keys/k", "type", "des"), "another reason") },
		"Encrypt":      func(m *mounttest.Mount) { m.Encrypt("a..b", "x") },
		"Decrypt":      func(m *mounttest.Mount) { withKey(m).Decrypt("k", "vault:v1:AAAA") },
		"Ops":          func(m *mounttest.Mount) { m.K.Ops("rotate") },
		"State":        func(m *mounttest.Mount) { withKey(m).K.State(2) },
		"Latest":       func(m *mounttest.Mount) { m.Latest("k") },
		"SetStored":    func(m *mounttest.Mount) { withKey(m).SetStored("versions/k/1", "no such field", 1) },
		"Storage.Key":  func(m *mounttest.Mount) { m.Storage.Key("k") },
		"Sealed":       func(m *mounttest.Mount) { m.Storage.Plant("x", []byte("{")); m.Storage.Sealed("x") },
		"Journal":      func(m *mounttest.Mount) { m.Storage.Plant("journal/k/0000000001", []byte("{")); m.Storage.Journal() },
		"Advance":      func(m *mounttest.Mount) { m.Storage.FailWrites(); m.Advance(time.Minute) },
		"PlanPolicy":   func(m *mounttest.Mount) { mounttest.PlanPolicy(m, "rotation_period", "soon") },
		"NothingOpen": func(m *mounttest.Mount) {
			m.Storage.Plant("intents/erase/k", nil)
			mounttest.RequireNothingOpen(m.T, m)
		},
		"CustodyWhole": func(m *mounttest.Mount) {
			m.K.Make(2)
			m.Storage.CutJournal("journal/k/0000000002")
			mounttest.RequireCustodyWhole(m.T, m)
		},
		"Indexed":       func(m *mounttest.Mount) { requireIndexedWithout(m, "schedule/20260301T1300/k") },
		"Indexed bound": func(m *mounttest.Mount) { requireIndexedWithout(m, "bound/p/k") },
	} {
		require.True(t, complains(t, do), name)
	}
	require.False(t, complains(t, func(m *mounttest.Mount) {
		m.K.Make(3)
		m.K.Ops("versions/1/archive", "31d")
		m.Refused(m.Write("policies/p", "nonsense", 1), "nonsense")
		mounttest.RequireNothingOpen(m.T, m)
		mounttest.RequireIndexed(m.T, m.Storage.All())
	}))
}

func requireIndexedWithout(m *mounttest.Mount, path string) {
	m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "1h", "rotation_jitter", 0))
	m.Must(m.Write("keys/k", "policy", "p"))
	all := m.Storage.All()
	if _, ok := all[path]; ok { // else nothing is missing, and nothing complains
		delete(all, path)
		mounttest.RequireIndexed(m.T, all)
	}
}

func TestAnAnswerIsWhatAClientOfVaultGets(t *testing.T) {
	m := mounttest.New(t)
	require.Equal(t, http.StatusOK, m.Write("keys/k").Status)
	m.Must(m.Write("policies/p", "owner", "o"))
	require.Equal(t, http.StatusNoContent, m.Delete("policies/p").Status)
	require.Equal(t, mounttest.Answer{Status: http.StatusNotFound}, m.Read("keys/none"))
	require.Equal(t, http.StatusMethodNotAllowed, m.Read("encrypt/k").Status)
	bad := m.Write("keys/k/config", "policy", "none")
	require.Equal(t, http.StatusBadRequest, bad.Status)
	require.Contains(t, bad.Err, `"none"`)
	m.Storage.FailWrites()
	require.Equal(t, http.StatusInternalServerError, m.K.Op("rotate").Status)
	m.Storage.Heal()

	items := []any{mounttest.Data("plaintext", mounttest.B64("x")), mounttest.Data("plaintext", "!")}
	partly := m.Write("encrypt/k", "batch_input", items, "partial_failure_response_code", 207)
	require.Equal(t, http.StatusMultiStatus, partly.Status, "also where the status is in the body")
	rows := mounttest.Rows(t, partly)
	require.Equal(t, 1, mounttest.VersionOf(rows[0].Ciphertext))
	require.Contains(t, rows[1].Error, "base64")
}

func TestAnExistenceCheckTellsACreationFromAnUpdate(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("config/keys", "disable_upsert", true))
	require.Equal(t, http.StatusBadRequest, m.Write("encrypt/new", "plaintext", "").Status)
	m.Must(m.Write("config/keys", "disable_upsert", false))
	m.Must(m.Write("encrypt/new", "plaintext", ""))
}

func TestARestartKeepsWhatIsStoredAlone(t *testing.T) {
	m, ciphertexts := mounttest.KeyOf3(t)
	before := m.Storage.All()
	require.NotEmpty(t, mounttest.Cached(m))
	m.Restart()
	require.Empty(t, mounttest.Cached(m))
	require.Equal(t, before, m.Storage.All())
	require.Equal(t, "secret", m.Decrypt("k", ciphertexts[1]))
	require.Equal(t, []int{1}, mounttest.Cached(m))
}

func TestTimeGoesByAsItIsTold(t *testing.T) {
	m := mounttest.Governed(t, "auto")
	require.Equal(t, mounttest.Start, m.Clock.Now())
	m.Pass(time.Hour)
	require.Equal(t, 1, m.Latest("k"), "without a tick")
	require.NoError(t, m.Tick())
	require.Equal(t, 2, m.Latest("k"))
	m.AdvanceTo(3 * time.Hour)
	require.Equal(t, mounttest.Start.Add(3*time.Hour), m.Clock.Now())
	require.Equal(t, 4, m.Latest("k"))
	m.Clock.Add(30 * 24 * time.Hour)
	require.NoError(t, m.Tick())
	require.True(t, m.Frozen())
	m.Leap(24 * time.Hour)
	require.False(t, m.Frozen())
	m.Clock.Step = time.Second
	require.Equal(t, time.Second, -m.Clock.Now().Sub(m.Clock.Now()))
}

// silent is a token that answers nothing.
type silent struct{ envelope.KeyWrapper }

func (silent) Wrap(context.Context, []byte, []byte) ([]byte, error) {
	return nil, context.DeadlineExceeded
}

func TestAWrapperStandsBeforeTheMountsUntilItIsTakenAway(t *testing.T) {
	m := mounttest.New(t)
	m.K.Make(1)
	m.WrapKeys(func(w envelope.KeyWrapper) envelope.KeyWrapper { return silent{w} })
	require.Equal(t, http.StatusServiceUnavailable, m.K.Op("rotate").Status)
	m.Restart()
	require.Equal(t, http.StatusServiceUnavailable, m.K.Op("rotate").Status, "a reload does not mend a token")
	m.WrapKeys(nil)
	m.K.Ops("rotate")
}

func TestAFaultOfACheckEnds(t *testing.T) {
	for _, fault := range mounttest.PostFaults() {
		m, end := mounttest.Checkless(t, fault)
		m.Refused(m.K.Op("rotate"), fault.Check)
		require.Equal(t, "AO", m.K.Letters())
		end()
		m.K.Ops("rotate")
		require.Equal(t, "OOA", m.K.Letters())
	}
}

func TestWhatIsPlantedIsReadPastTheMount(t *testing.T) {
	m := mounttest.New(t)
	m.K.Make(2)
	require.Equal(t, 2, m.Storage.Key("k").Latest)
	require.Len(t, m.Storage.Journal(), 4)
	require.Equal(t, "rotate", m.Storage.LastAct()["act"])
	require.Contains(t, m.Storage.JournalLine(1), `"outcome":"done"`)
	require.NotEmpty(t, m.Storage.Sealed("versions/k/2"))
	m.Corrupt("versions/k/2")
	require.Equal(t, http.StatusInternalServerError, m.Write("encrypt/k", "plaintext", "").Status)

	deaf := m.Storage.DeafTo("versions/")
	require.Error(t, deaf.Put(t.Context(), &logical.StorageEntry{Key: "versions/x"}))
	require.NoError(t, deaf.Put(t.Context(), &logical.StorageEntry{Key: "x"}))
	asked := 0
	m.Storage.During("versions/k", func() { asked++ })
	m.Read("keys/k/versions/1")
	m.Restart()
	m.Read("keys/k/versions/1")
	require.Equal(t, 1, asked, "once")
}

func TestAnIDIsOfTheRequestThatIsSentWithIt(t *testing.T) {
	m := mounttest.New(t)
	m.As("the same", func(m *mounttest.Mount) mounttest.Answer { return m.Write("keys/k") })
	m.K.Ops("rotate")
	journal := m.Storage.Journal()
	require.Equal(t, "the same", journal[0].RequestID)
	require.NotEqual(t, "the same", journal[2].RequestID)
}
