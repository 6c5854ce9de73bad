// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
)

// wrap wraps a secret and sees it open.
func wrap(t *testing.T, w *hsm.Wrapper) []byte {
	t.Helper()
	wrapped, err := w.Wrap(t.Context(), []byte("dek"), []byte("aad"))
	require.NoError(t, err)
	requireOpens(t, w, wrapped)
	return wrapped
}

func requireOpens(t *testing.T, w *hsm.Wrapper, wrapped []byte) {
	t.Helper()
	got, err := w.Unwrap(t.Context(), wrapped, []byte("aad"))
	require.NoError(t, err)
	require.Equal(t, []byte("dek"), got)
}

func TestEachEpochOpensTheCanaryOnceBeforeTheFirstUse(t *testing.T) {
	eachSuite(t, faketoken.Config{}, func(t *testing.T, s hsm.Suite, tok *plainToken, d *faketoken.Device) {
		w := wrapper(t, tok, create(t, tok, s))
		wrapped := wrap(t, w)
		for range 3 {
			d.Restart()
			tok.lose()
			cold := tok.calls(func() { requireOpens(t, w, wrapped) })
			require.Equal(t, 2, cold[faketoken.Decrypt], "the canary and the secret")
			require.NotZero(t, cold[faketoken.FindObjects])
			warm := tok.calls(func() { requireOpens(t, w, wrapped) })
			require.Equal(t, 1, warm[faketoken.Decrypt])
			require.Zero(t, warm[faketoken.FindObjects])
		}
	})
}

// Row 4 of the failure table: a handle of an epoch that is over was seen to name another key, and to encrypt with it.
func TestAStaleHandleNeverWrapsUnderAnotherKEK(t *testing.T) {
	for _, s := range []hsm.Suite{hsm.SuiteGCM, hsm.SuiteGCMTokenIV, hsm.SuiteGCMAppended, hsm.SuiteCBC} {
		d := device(s, faketoken.Config{ReuseHandles: true})
		tok := newToken(t, d)
		ka, kb := create(t, tok, s), create(t, tok, s)
		a, b := wrapper(t, tok, ka), wrapper(t, tok, kb)
		for range 4 {
			wrap(t, a)
			wrap(t, b)
			tok.lose()
			require.NoError(t, tok.library.Reinitialize()) // handles name other objects from here on
			fromA := wrap(t, a)
			fromB := wrap(t, b)
			requireOpens(t, wrapper(t, tok, ka), fromA)
			requireOpens(t, wrapper(t, tok, kb), fromB)
		}
	}
}

// Row 4: a restored backup, or a token of the same label, may hold another key by the same names.
func TestAnotherKeyByTheNamesOfTheKEKIsRefusedBeforeItWraps(t *testing.T) {
	for _, tampered := range []cryptoki.Error{cryptoki.ErrGeneralError, cryptoki.ErrEncryptedDataInvalid} { // SoftHSM, NSS
		eachSuite(t, faketoken.Config{Tampered: tampered}, func(t *testing.T, s hsm.Suite, tok *plainToken, d *faketoken.Device) {
			drawn := draw(t, s)
			made, err := hsm.Create(t.Context(), tok, drawn, rand.Reader)
			require.NoError(t, err)
			wrapped := wrap(t, wrapper(t, tok, made))

			d.Wipe()
			_, err = hsm.Create(t.Context(), tok, drawn, rand.Reader) // other keys, with the label and the CKA_ID of the first
			require.NoError(t, err)
			w := wrapper(t, tok, made)
			_, err = w.Wrap(t.Context(), []byte("dek"), []byte("aad"))
			require.ErrorIs(t, err, hsm.ErrKEKMismatch)
			_, err = w.Unwrap(t.Context(), wrapped, []byte("aad"))
			require.ErrorIs(t, err, hsm.ErrKEKMismatch)
			require.NotErrorIs(t, err, hsm.ErrCorrupt, "nothing is wrong with what is stored")
			require.ErrorIs(t, w.Check(t.Context()), hsm.ErrKEKMismatch)
			require.ErrorIs(t, hsm.Destroy(t.Context(), tok, made), hsm.ErrKEKMismatch)
		})
	}
}

// Row 4: labels and identifiers are not unique in PKCS#11.
func TestTwoKeysByTheNamesOfTheKEKAreRefused(t *testing.T) {
	tok := newToken(t, device(hsm.SuiteGCM, faketoken.Config{}))
	made := create(t, tok, hsm.SuiteGCM)
	double(t, tok, made)
	w := wrapper(t, tok, made)
	_, err := w.Wrap(t.Context(), []byte("dek"), nil)
	require.ErrorIs(t, err, hsm.ErrKEKMismatch)
	require.ErrorContains(t, err, "2 of its label and id")
	require.ErrorIs(t, hsm.Destroy(t.Context(), tok, made), hsm.ErrKEKMismatch)
}

// double makes a second key by the names of the first.
func double(t *testing.T, tok *plainToken, k hsm.KEK, more ...cryptoki.Attribute) {
	t.Helper()
	template := append(cryptoki.Template{
		{Type: cryptoki.AttrClass, Value: cryptoki.ClassSecretKey},
		{Type: cryptoki.AttrKeyType, Value: cryptoki.KeyAES},
		{Type: cryptoki.AttrToken, Value: true},
		{Type: cryptoki.AttrValueLen, Value: uint(32)},
		{Type: cryptoki.AttrLabel, Value: k.Label},
		{Type: cryptoki.AttrID, Value: k.CKAID},
		{Type: cryptoki.AttrEncrypt, Value: true},
		{Type: cryptoki.AttrDecrypt, Value: true},
	}, more...)
	require.NoError(t, tok.RunOnce(t.Context(), func(s cryptoki.Session, _ uint64) error {
		_, err := s.Generate(cryptoki.Mechanism{Type: cryptoki.AESKeyGen}, template)
		return err
	}))
}

// Row 3.
func TestADeletedKEKIsMissingAndNoneIsMadeInItsPlace(t *testing.T) {
	eachSuite(t, faketoken.Config{}, func(t *testing.T, s hsm.Suite, tok *plainToken, d *faketoken.Device) {
		w := wrapper(t, tok, create(t, tok, s))
		wrapped := wrap(t, w)
		d.Wipe()
		for range 2 {
			_, err := w.Wrap(t.Context(), []byte("dek"), []byte("aad"))
			require.ErrorIs(t, err, hsm.ErrKEKMissing)
			_, err = w.Unwrap(t.Context(), wrapped, []byte("aad"))
			require.ErrorIs(t, err, hsm.ErrKEKMissing)
			require.NotErrorIs(t, err, hsm.ErrCorrupt)
			require.ErrorIs(t, w.Check(t.Context()), hsm.ErrKEKMissing)
		}
		require.Zero(t, d.Objects())
	})
}

// Row 12: SoftHSM answers CKR_GENERAL_ERROR to damaged data and to trouble of its own.
func TestDataIsCalledCorruptOnlyByATokenThatIsSeenToWork(t *testing.T) {
	for _, rv := range []cryptoki.Error{cryptoki.ErrGeneralError, cryptoki.ErrFunctionFailed} {
		tok := newToken(t, device(hsm.SuiteGCM, faketoken.Config{Tampered: rv}))
		w := wrapper(t, tok, create(t, tok, hsm.SuiteGCM))
		wrapped := wrap(t, w)

		damaged := bytes.Clone(wrapped)
		damaged[len(damaged)-1] ^= 1
		_, err := w.Unwrap(t.Context(), damaged, []byte("aad"))
		require.ErrorIs(t, err, hsm.ErrCorrupt)

		tok.library.Fail(faketoken.Decrypt, rv, 1) // a hiccup
		requireOpens(t, w, wrapped)

		tok.library.Fail(faketoken.Decrypt, rv, 1000)
		_, err = w.Unwrap(t.Context(), wrapped, []byte("aad"))
		require.ErrorIs(t, err, rv)
		require.NotErrorIs(t, err, hsm.ErrCorrupt)
		require.NotErrorIs(t, err, hsm.ErrKEKMismatch)
		tok.library.Heal()
		requireOpens(t, w, wrapped)
	}
}

// A token that fails while the canary is opened is not one that holds another key.
func TestACanaryThatFailsForTheTokensSakeIsTriedAgain(t *testing.T) {
	tok := newToken(t, device(hsm.SuiteGCM, faketoken.Config{}))
	made := create(t, tok, hsm.SuiteGCM)

	tok.library.Fail(faketoken.Decrypt, cryptoki.ErrGeneralError, 1)
	wrap(t, wrapper(t, tok, made))

	tok.library.Fail(faketoken.Decrypt, cryptoki.ErrGeneralError, 1000)
	_, err := wrapper(t, tok, made).Wrap(t.Context(), []byte("dek"), nil)
	require.ErrorIs(t, err, cryptoki.ErrGeneralError)
	require.NotErrorIs(t, err, hsm.ErrKEKMismatch)
}

// stubbornToken recovers from nothing, and counts no epochs.
type stubbornToken struct{ *plainToken }

func (s stubbornToken) Run(ctx context.Context, f func(cryptoki.Session, uint64) error) error {
	return s.once(ctx, f)
}

func TestAHandleThatTheTokenDoesNotKnowIsNotUsedAgain(t *testing.T) {
	tok := stubbornToken{newToken(t, device(hsm.SuiteGCM, faketoken.Config{}))}
	w := wrapper(t, tok, create(t, tok, hsm.SuiteGCM))
	wrapped := wrap(t, w)
	tok.library.Logout(0)
	_, err := w.Unwrap(t.Context(), wrapped, []byte("aad"))
	require.ErrorIs(t, err, cryptoki.ErrObjectHandleInvalid)
	require.NoError(t, tok.Run(t.Context(), func(s cryptoki.Session, _ uint64) error { return s.Login([]byte(testPIN)) }))
	requireOpens(t, w, wrapped)
}

// Tokens were seen to refuse data while another one of a cluster answered, and with handles of an epoch that was over.
func TestDataThatIsRefusedOnceIsNotCorrupt(t *testing.T) {
	eachSuite(t, faketoken.Config{}, func(t *testing.T, s hsm.Suite, tok *plainToken, _ *faketoken.Device) {
		w := wrapper(t, tok, create(t, tok, s))
		wrapped := wrap(t, w)
		tok.library.Fail(faketoken.Decrypt, cryptoki.ErrEncryptedDataInvalid, 1)
		requireOpens(t, w, wrapped)
	})
}

// blindToken finds nothing at first, as a token does that has just lost its login.
type blindToken struct {
	*plainToken
	blind *int
}

func (b blindToken) Run(ctx context.Context, f func(cryptoki.Session, uint64) error) error {
	return b.plainToken.Run(ctx, func(s cryptoki.Session, epoch uint64) error { return f(blindSession{s, b}, epoch) })
}

type blindSession struct {
	cryptoki.Session
	token blindToken
}

func (b blindSession) Find(t cryptoki.Template) ([]cryptoki.Object, error) {
	if *b.token.blind--; *b.token.blind >= 0 {
		return nil, nil
	}
	return b.Session.Find(t)
}

func TestAKeyThatIsNotFoundOnceIsNotMissing(t *testing.T) {
	blind := 0
	tok := blindToken{newToken(t, device(hsm.SuiteGCM, faketoken.Config{})), &blind}
	made := create(t, tok, hsm.SuiteGCM)
	blind = 1
	wrap(t, wrapper(t, tok, made))
	blind = 2
	_, err := wrapper(t, tok, made).Wrap(t.Context(), []byte("dek"), nil)
	require.ErrorIs(t, err, hsm.ErrKEKMissing)
}

// The probe of row 12: by it the token decides whether it has to be recovered.
func TestTheProbeTellsTroubleOfTheTokenFromAnotherKey(t *testing.T) {
	d := device(hsm.SuiteGCM, faketoken.Config{Tampered: cryptoki.ErrGeneralError})
	tok := newToken(t, d)
	drawn := draw(t, hsm.SuiteGCM)
	made, err := hsm.Create(t.Context(), tok, drawn, rand.Reader)
	require.NoError(t, err)
	w := wrapper(t, tok, made)
	require.NoError(t, tok.Run(t.Context(), w.Probe))

	tok.library.Fail(faketoken.Decrypt, cryptoki.ErrGeneralError, 1)
	err = tok.Run(t.Context(), w.Probe)
	require.ErrorIs(t, err, cryptoki.ErrGeneralError)
	require.NotErrorIs(t, err, hsm.ErrKEKMismatch)

	d.Wipe()
	require.ErrorIs(t, tok.Run(t.Context(), w.Probe), hsm.ErrKEKMissing)
	_, err = hsm.Create(t.Context(), tok, drawn, rand.Reader)
	require.NoError(t, err)
	err = tok.Run(t.Context(), w.Probe)
	require.ErrorIs(t, err, hsm.ErrKEKMismatch)
	require.NotErrorIs(t, err, cryptoki.ErrGeneralError, "or the token is initialised anew each time")
}

// A key that is exchanged within an epoch is found out by the next check, and does not wrap from then on.
func TestHandlesThatACheckFindsWrongAreNotUsedAgain(t *testing.T) {
	tok := newToken(t, device(hsm.SuiteGCM, faketoken.Config{}))
	made := create(t, tok, hsm.SuiteGCM)
	w := wrapper(t, tok, made)
	wrap(t, w)
	double(t, tok, made)
	require.ErrorIs(t, w.Check(t.Context()), hsm.ErrKEKMismatch)
	_, err := w.Wrap(t.Context(), []byte("dek"), nil)
	require.ErrorIs(t, err, hsm.ErrKEKMismatch)
}

func TestOtherErrorsOfTheTokenAreNeitherCorruptNorAnotherKEK(t *testing.T) {
	tok := newToken(t, device(hsm.SuiteGCM, faketoken.Config{}))
	w := wrapper(t, tok, create(t, tok, hsm.SuiteGCM))
	wrapped := wrap(t, w)
	for _, rv := range []cryptoki.Error{cryptoki.ErrDeviceError, cryptoki.ErrDeviceMemory, cryptoki.ErrHostMemory, 0x80000001} {
		tok.library.Fail(faketoken.Decrypt, rv, 1)
		_, err := w.Unwrap(t.Context(), wrapped, []byte("aad"))
		require.ErrorIs(t, err, rv)
		for _, other := range []error{hsm.ErrCorrupt, hsm.ErrKEKMismatch, hsm.ErrKEKMissing} {
			require.NotErrorIs(t, err, other)
		}
	}
	requireOpens(t, w, wrapped)
}

// slowToken is a token whose operations wait, and that shows what they read once they go on.
type slowToken struct {
	*plainToken
	entered chan struct{}
	release chan struct{}
	read    chan []byte
}

func (s slowToken) Run(ctx context.Context, f func(cryptoki.Session, uint64) error) error {
	return s.plainToken.Run(ctx, func(session cryptoki.Session, epoch uint64) error {
		return f(slowSession{session, s}, epoch)
	})
}

type slowSession struct {
	cryptoki.Session
	token slowToken
}

func (s slowSession) Do(op cryptoki.Operation, o cryptoki.Object, m cryptoki.Mechanism, in []byte) ([]byte, error) {
	s.token.entered <- struct{}{}
	<-s.token.release
	s.token.read <- append(bytes.Clone(in), m.GCM.AAD...)
	out, err := s.Session.Do(op, o, m, in)
	s.token.read <- out // not a copy
	return out, err
}

func TestACallThatHangsReadsNothingOfItsCallersAndLeavesNoSecretBehind(t *testing.T) {
	tok := newToken(t, device(hsm.SuiteGCM, faketoken.Config{}))
	made := create(t, tok, hsm.SuiteGCM)
	wrapped := wrap(t, wrapper(t, tok, made))
	dek, aad := []byte("dek"), []byte("aad")

	hang := func(call func(ctx context.Context, w *hsm.Wrapper, in, aad []byte) error, in []byte) (read, out []byte) {
		slow := slowToken{tok, make(chan struct{}), make(chan struct{}), make(chan []byte)}
		w := hsm.NewUncheckedWrapper(slow, made.WithoutCanary(), rand.Reader)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-slow.entered; cancel() }()
		theirs, theirAAD := bytes.Clone(in), bytes.Clone(aad)
		require.ErrorIs(t, call(ctx, w, theirs, theirAAD), hsm.ErrUnavailable)
		clear(theirs)
		clear(theirAAD)
		close(slow.release)
		read, out = <-slow.read, <-slow.read
		tok.running.Wait()
		return read, out
	}
	read, _ := hang(func(ctx context.Context, w *hsm.Wrapper, in, aad []byte) error {
		_, err := w.Wrap(ctx, in, aad)
		return err
	}, dek)
	require.True(t, bytes.HasPrefix(read, dek), "the secret was wiped under the call")
	require.Contains(t, string(read), "aad")

	read, out := hang(func(ctx context.Context, w *hsm.Wrapper, in, aad []byte) error {
		_, err := w.Unwrap(ctx, in, aad)
		return err
	}, wrapped)
	require.True(t, bytes.HasPrefix(read, wrapped[36:]), "what is wrapped was changed under the call")
	require.Contains(t, string(read), "aad")
	require.Equal(t, make([]byte, len(dek)), out, "a secret that nobody waits for is wiped")
}
