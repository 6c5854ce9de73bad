// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package ledger_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/ledger"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// rotations is a mount with a key that was made and rotated until its journal has so many records.
func rotations(t *testing.T, name string, records int) *mount {
	m := newMount(t)
	for range records / 2 {
		m.act(name, custody.Record{Act: "rotate"}, custody.Done)
	}
	return m
}

func seqs(records []custody.Record) (all []int) {
	for _, r := range records {
		all = append(all, r.Seq)
	}
	return all
}

func TestHistoryComesInPages(t *testing.T) {
	l := rotations(t, "orders", 6).ledger()
	for _, page := range []struct {
		after, limit int
		want         []int
		next         int
	}{
		{0, 4, []int{1, 2, 3, 4}, 4}, {4, 4, []int{5, 6}, 0}, {0, 6, []int{1, 2, 3, 4, 5, 6}, 0}, {6, 4, nil, 0}, {900, 4, nil, 0},
	} {
		got, err := l.History(ctx, "orders", page.after, page.limit)
		require.NoError(t, err)
		require.Equal(t, page.want, seqs(got.Records), "%+v", page)
		require.Equal(t, page.next, got.Next, "%+v", page)
	}
	_, err := l.History(ctx, "other", 3, 4)
	require.ErrorIs(t, err, refusal.ErrNotFound)
}

func TestHistoryAsksOnlyForWhatItShows(t *testing.T) {
	m := rotations(t, "orders", 6)
	delete(m.journals["orders"], 3)
	got, err := m.ledger().History(ctx, "orders", 0, 3)
	require.NoError(t, err)
	require.Equal(t, []int{1, 2, 4}, seqs(got.Records), "a record that is missing hides none behind it")
	require.Equal(t, []string{"Linesorders0"}, m.asked, "reading settles nothing")
	m.journals["orders"][4] = "{}"
	_, err = m.ledger().History(ctx, "orders", 0, 3)
	require.ErrorIs(t, err, custody.ErrMalformed)
}

func TestAnExportHasEveryRecordOnceWhateverThePage(t *testing.T) {
	m := rotations(t, "a", 6)
	m.act("b", custody.Record{Act: "create"}, custody.Done)
	m.act("c", custody.Record{Act: "create"}, custody.Done)
	whole, next, err := m.ledger().Export(ctx, "", 100)
	require.NoError(t, err)
	require.Empty(t, next)
	require.Len(t, whole, 10)
	for limit := 1; limit <= 11; limit++ {
		var lines []string
		for cursor := ""; len(lines) == 0 || cursor != ""; {
			var page []string
			page, cursor, err = m.ledger().Export(ctx, cursor, limit)
			require.NoError(t, err)
			lines = append(lines, page...)
		}
		require.Equal(t, whole, lines, "limit %d", limit)
	}
	for _, cursor := range []string{"a", "a/", "a/-1", "a/x", "a/99999999999"} {
		_, _, err := m.ledger().Export(ctx, cursor, 1)
		require.ErrorIs(t, err, refusal.ErrInvalid, cursor)
	}
	gone, _, err := m.ledger().Export(ctx, "ab/7", 100)
	require.NoError(t, err)
	require.Equal(t, whole[6:], gone, "a journal that is not there any more")
}

func TestACheckpointCoversThePageOfJournalsAndNamesTheBroken(t *testing.T) {
	m := rotations(t, "a", 4)
	m.act("b", custody.Record{Act: "create"}, custody.Done)
	m.act("c", custody.Record{Act: "create"}, custody.Done)
	m.broken["b"] = true
	got, err := m.ledger().Checkpoint(ctx, "", "", 2)
	require.NoError(t, err)
	require.Equal(t, []string{"b"}, got.Broken)
	require.Equal(t, "b", got.Next)
	keys, err := m.ledger().PublicKeys(ctx)
	require.NoError(t, err)
	opened, err := got.Open(keys)
	require.NoError(t, err)
	require.Equal(t, []custody.KeyHead{{Key: "a", Count: 4, Hash: m.heads["a"].Hash}}, opened.Heads)

	last, err := m.ledger().Checkpoint(ctx, "", got.Next, 2)
	require.NoError(t, err)
	require.Empty(t, last.Next)
	one, err := m.ledger().Checkpoint(ctx, "c", "", 2)
	require.NoError(t, err)
	require.Equal(t, last.Payload, one.Payload)
	_, err = m.ledger().Checkpoint(ctx, "d", "", 2)
	require.ErrorIs(t, err, refusal.ErrNotFound)
}

func TestEverySigningKeyButTheFirstIsSignedByTheOneBefore(t *testing.T) {
	m := newMount(t)
	for generation := 1; generation <= 3; generation++ {
		keys, err := m.ledger().RotateSigningKey(ctx, "")
		require.NoError(t, err)
		require.Len(t, keys, generation)
		require.NoError(t, keys.Check(keys[0].ID))
	}
	before := m.signing
	keys, err := m.ledger().PublicKeys(ctx)
	require.NoError(t, err)
	require.Len(t, keys, 3)
	require.Equal(t, before, m.signing)
}

func TestVerificationFindsWhatIsWrong(t *testing.T) {
	m := rotations(t, "a", 6)
	m.act("b", custody.Record{Act: "create"}, custody.Done)
	m.add("b", custody.Record{Kind: custody.Begin, Act: "rotate", KeyID: "id of b"})
	m.keys = []string{"a", "b", "never"}
	kept, err := m.ledger().Checkpoint(ctx, "a", "", 1)
	require.NoError(t, err)

	got, err := m.ledger().Verify(ctx, "", nil)
	require.NoError(t, err)
	require.Equal(t, ledger.Verification{Records: 9, Problems: []string{}, Unfinished: []custody.Unfinished{{Key: "b", Seq: 3}}}, got)

	m.broken["b"] = true
	delete(m.journals["a"], 6)
	got, err = m.ledger().Verify(ctx, "", []custody.Signed{kept.Signed})
	require.NoError(t, err)
	require.Len(t, got.Problems, 2)
	require.Equal(t, "b is broken", got.Problems[0])
	require.Contains(t, got.Problems[1], "behind the checkpoint")

	_, err = m.ledger().Verify(ctx, "b", []custody.Signed{kept.Signed})
	require.ErrorIs(t, err, refusal.ErrInvalid, "a checkpoint of another key")
	_, err = m.ledger().Verify(ctx, "c", nil)
	require.ErrorIs(t, err, refusal.ErrNotFound)
	_, err = m.ledger().Verify(ctx, "never", nil)
	require.NoError(t, err)
}

// TestVerificationRefusesWhatIsTooMuchBeforeItLooksAtMore is about the bound: of what comes behind it nothing is settled, locked
// or read.
func TestVerificationRefusesWhatIsTooMuchBeforeItLooksAtMore(t *testing.T) {
	racetest.Skip(t, "one goroutine reads 100,000 records")
	m := newMount(t)
	line := rotations(t, "a", 2).journals["a"][1]
	m.journals["a"], m.journals["b"], m.journals["c"] = map[int]string{}, map[int]string{}, map[int]string{}
	for seq := range 60_000 {
		m.journals["a"][seq+1], m.journals["b"][seq+1] = line, line
	}
	_, err := m.ledger().Verify(ctx, "", nil)
	require.ErrorIs(t, err, refusal.ErrInvalid)
	require.Equal(t, []string{"JournalNames", "ExpectedNames", "SigningKeys", "CheckJournala", "Linesa0", "CheckJournalb", "Linesb0"}, m.asked)
}

func TestAFailureOfStorageIsNoFinding(t *testing.T) {
	asks := map[string]func(l ledger.Ledger) error{
		"history":    func(l ledger.Ledger) error { _, err := l.History(ctx, "a", 0, 9); return err },
		"export":     func(l ledger.Ledger) error { _, _, err := l.Export(ctx, "", 9); return err },
		"checkpoint": func(l ledger.Ledger) error { _, err := l.Checkpoint(ctx, "", "", 9); return err },
		"keys":       func(l ledger.Ledger) error { _, err := l.PublicKeys(ctx); return err },
		"rotate":     func(l ledger.Ledger) error { _, err := l.RotateSigningKey(ctx, ""); return err },
		"verify":     func(l ledger.Ledger) error { _, err := l.Verify(ctx, "", nil); return err },
		"change": func(l ledger.Ledger) error {
			_, err := l.LastChange(ctx, ledger.Version{Key: "a", KeyID: "x", Number: 1, LastAct: 1})
			return err
		},
	}
	for name, ask := range asks {
		m := rotations(t, "a", 2)
		require.NoError(t, ask(m.ledger()), name)
		for _, call := range m.asked {
			down := rotations(t, "a", 2)
			down.fails = strings.TrimRight(call, "a0123456789")
			require.ErrorIs(t, ask(down.ledger()), errDown, "%s without %s", name, down.fails)
		}
	}
}

func version(n int) ledger.Version {
	return ledger.Version{Key: "orders", KeyID: "id of orders", Number: n, FollowsFloor: true, Since: 1}
}

func TestTheLastChangeIsTheRecordThatTheKeyNames(t *testing.T) {
	m := rotations(t, "orders", 6)
	seq := m.act("orders", custody.Record{Act: "suspend", Versions: []int{2}}, custody.Done)
	v := version(2)
	v.LastAct = seq
	got, err := m.ledger().LastChange(ctx, v)
	require.NoError(t, err)
	require.Equal(t, "suspend", got.Act)
	require.Equal(t, []string{"Lineorders7"}, m.asked)

	m.asked = nil
	got, err = m.ledger().LastChange(ctx, version(9))
	require.NoError(t, err)
	require.Nil(t, got)
	require.Empty(t, m.asked, "every act is known, and none changed it")
}

func TestALastChangeThatTheKeyDoesNotNameIsSearchedFor(t *testing.T) {
	m := newMount(t)
	want := m.act("orders", custody.Record{Act: "archive", Versions: []int{2}}, custody.Done)
	m.act("orders", custody.Record{Act: "suspend", Versions: []int{2}}, custody.Failed)
	m.act("orders", custody.Record{Act: "suspend", Versions: []int{2}, KeyID: "id of one before"}, custody.Done)
	m.act("orders", custody.Record{Act: "hold"}, custody.Done)
	for name, v := range map[string]func(*ledger.Version){
		"a key of an earlier release":      func(v *ledger.Version) { v.Since = 0 },
		"changed before it was remembered": func(v *ledger.Version) { v.Since = 7 },
		"a record that is missing":         func(v *ledger.Version) { v.LastAct = 90 },
		"a record of something else":       func(v *ledger.Version) { v.LastAct = 7 },
		"the end of an act":                func(v *ledger.Version) { v.LastAct = 2 },
	} {
		asked := version(2)
		v(&asked)
		got, err := m.ledger().LastChange(ctx, asked)
		require.NoError(t, err, name)
		require.NotNil(t, got, name)
		require.Equal(t, want, got.Seq, name)
	}
	for range 200 {
		m.act("orders", custody.Record{Act: "hold"}, custody.Done)
	}
	m.asked = nil
	old := version(2)
	old.Since = 0
	got, err := m.ledger().LastChange(ctx, old)
	require.NoError(t, err)
	require.Nil(t, got, "too long ago")
	require.Len(t, m.asked, 257)

	m.asked = nil
	old.Since = 100
	_, err = m.ledger().LastChange(ctx, old)
	require.NoError(t, err)
	require.Equal(t, []string{"Committedorders"}, m.asked, "what it does not know of is longer ago than is searched")
}

func TestWhichActsChangeAVersion(t *testing.T) {
	for name, c := range map[string]struct {
		record custody.Record
		by     []int // the versions that it changes of 1 to 4, of which 4 is destroyed and 3 held by its own state
	}{
		"names it":        {custody.Record{Act: "archive", Versions: []int{3, 4}}, []int{3, 4}},
		"supersedes it":   {custody.Record{Act: "rotate", Versions: []int{9}, Details: map[string]string{"superseded": "2"}}, []int{2}},
		"promotes it":     {custody.Record{Act: "compromise", Versions: []int{9}, Details: map[string]string{"successor": "1"}}, []int{1}},
		"the whole key":   {custody.Record{Act: "suspend", From: "enabled", To: "suspended"}, []int{1, 2, 3}},
		"moves a floor":   {custody.Record{Act: "configure", Details: map[string]string{"min_decryption_version": "1 -> 4"}}, []int{1, 2}},
		"lowers it":       {custody.Record{Act: "configure", Details: map[string]string{"min_decryption_version": "4 -> 2"}}, []int{2}},
		"trims":           {custody.Record{Act: "trim", Details: map[string]string{"min_available_version": "0 -> 5"}}, []int{1, 2, 3, 4}},
		"is about others": {custody.Record{Act: "configure", Details: map[string]string{"owner": "a -> b"}}, nil},
	} {
		m := newMount(t)
		seq := m.act("orders", c.record, custody.Done)
		for n := 1; n <= 4; n++ {
			v := version(n)
			v.LastAct, v.Destroyed, v.FollowsFloor = seq, n == 4, n < 3
			got, err := m.ledger().LastChange(ctx, v)
			require.NoError(t, err)
			require.Equal(t, slices.Contains(c.by, n), got != nil, "%s: version %d", name, n)
		}
	}
}

// readable lists the generations of which the seed lies in what is stored.
func (m *mount) readable() (generations []int) {
	for _, k := range m.signing {
		if len(k.Sealed) == 0 || k.Plain.Seed() != nil {
			generations = append(generations, k.Public.Generation)
		}
	}
	return generations
}

func TestTheSeedsOfSigningKeysAreSealed(t *testing.T) {
	m := rotations(t, "a", 4)
	plain, err := custody.NewSigningKey(strings.NewReader(strings.Repeat("s", 32)), start, 1, nil)
	require.NoError(t, err)
	m.signing = []custody.StoredKey{{Public: plain.Public(), Plain: plain}} // as an earlier release stored it
	public, err := m.ledger().RotateSigningKey(ctx, "")
	require.NoError(t, err)
	require.NoError(t, public.Check(plain.Public().ID))
	require.Equal(t, []int{1}, m.readable())

	found, done, err := m.ledger().RewrapSigningKeys(ctx, m.wrapper, "i1")
	require.NoError(t, err)
	require.Equal(t, []int{1, 1}, []int{found, done})
	require.Empty(t, m.readable())
	references := func() (of []int) {
		for _, kek := range m.wrapper.all {
			n, err := m.ledger().SigningReferences(ctx, m.wrapper, kek.KEKID())
			require.NoError(t, err)
			of = append(of, n)
		}
		return of
	}
	require.Equal(t, []int{2}, references())
	m.wrapper.rotate(t)
	require.Equal(t, []int{2, 0}, references())
	found, done, err = m.ledger().RewrapSigningKeys(ctx, m.wrapper, "i1")
	require.NoError(t, err)
	require.Equal(t, []int{2, 2}, []int{found, done})
	require.Equal(t, []int{0, 2}, references())
	found, _, err = m.ledger().RewrapSigningKeys(ctx, m.wrapper, "i1")
	require.NoError(t, err)
	require.Zero(t, found)
	m.wrapper.all = m.wrapper.all[1:]
	signed, err := m.ledger().Checkpoint(ctx, "", "", 5)
	require.NoError(t, err)
	_, err = signed.Open(public)
	require.NoError(t, err)

	m.signing[0].Sealed, m.signing[1].Sealed = m.signing[1].Sealed, m.signing[0].Sealed
	_, err = m.ledger().Checkpoint(ctx, "", "", 5)
	require.ErrorIs(t, err, envelope.ErrCorrupt, "a seed belongs to its generation")
}

func TestAWrapperThatIsAwayKeepsFromSigningAndFromNothingElse(t *testing.T) {
	m := rotations(t, "a", 4)
	_, err := m.ledger().Checkpoint(ctx, "", "", 5)
	require.NoError(t, err)
	before := m.signing
	m.wrapper.away = true
	calls := m.wrapper.calls
	_, err = m.ledger().PublicKeys(ctx)
	require.NoError(t, err)
	_, err = m.ledger().Verify(ctx, "", nil)
	require.NoError(t, err)
	_, err = m.ledger().History(ctx, "a", 0, 5)
	require.NoError(t, err)
	_, err = m.ledger().SigningReferences(ctx, m.wrapper, [16]byte{1})
	require.NoError(t, err)
	require.Equal(t, calls, m.wrapper.calls)
	_, err = m.ledger().Checkpoint(ctx, "", "", 5)
	require.ErrorIs(t, err, envelope.ErrUnavailable)
	_, err = m.ledger().RotateSigningKey(ctx, "")
	require.ErrorIs(t, err, envelope.ErrUnavailable)
	m.wrapper.rotate(t)
	_, _, err = m.ledger().RewrapSigningKeys(ctx, m.wrapper, "i1")
	require.ErrorIs(t, err, envelope.ErrUnavailable)
	require.Equal(t, before, m.signing)
}

func TestASigningKeyIsMadeAnewWhereAnotherCameFirst(t *testing.T) {
	m := rotations(t, "a", 4)
	again := func() {
		m.before = nil
		_, err := m.ledger().RotateSigningKey(ctx, "")
		require.NoError(t, err)
	}
	for n := range 2 {
		m.before = again
		keys, err := m.ledger().RotateSigningKey(ctx, "")
		require.NoError(t, err)
		require.Len(t, keys, 2*n+2)
		require.NoError(t, keys.Check(keys[0].ID))
	}
}

func TestASeedThatCannotBeWrappedKeepsNoOtherFromIt(t *testing.T) {
	m := newMount(t)
	for range 2 {
		_, err := m.ledger().RotateSigningKey(ctx, "")
		require.NoError(t, err)
	}
	m.wrapper.rotate(t)
	m.signing[0].Sealed = []byte("damaged")
	found, done, err := m.ledger().RewrapSigningKeys(ctx, m.wrapper, "i1")
	require.ErrorContains(t, err, "generation 1")
	require.Equal(t, []int{1, 1}, []int{found, done})
	n, err := m.ledger().SigningReferences(ctx, m.wrapper, m.wrapper.Active())
	require.ErrorContains(t, err, "generation 1")
	require.Equal(t, 1, n)
}
