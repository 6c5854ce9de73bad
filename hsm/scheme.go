// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm

import (
	"bytes"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // of RSA-OAEP, where a token knows no other; OAEP does not rest on collisions
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// handles are the objects of a key on a token, in one epoch.
type handles struct {
	key, mac cryptoki.Object
	public   *rsa.PublicKey // of SuiteOAEP
}

// scheme encrypts and decrypts as a suite does.
type scheme struct {
	suite Suite
	hash  cryptoki.HashType // of SuiteOAEP
}

// chanceSize is more than RSA-OAEP reads for its seed, with any hash.
const chanceSize = 64

// draw returns the random bytes that a call of seal needs: the IV, or the seed of RSA-OAEP. They are drawn beforehand, since
// the source may be the token, and a call that holds one session must not wait for a second.
func (c scheme) draw(rand io.Reader) ([]byte, error) {
	size := shapes[c.suite].ivSize
	if size == 0 {
		size = chanceSize
	}
	chance := make([]byte, size)
	if _, err := io.ReadFull(rand, chance); err != nil {
		return nil, fmt.Errorf("read random bytes: %w", err)
	}
	return chance, nil
}

// seal encrypts secret and authenticates outer with it.
func (c scheme) seal(s cryptoki.Session, h handles, secret, outer, chance []byte) (w wrapping, err error) {
	switch {
	case c.suite.gcm():
		w, err = c.sealGCM(s, h, secret, outer, chance)
	case c.suite == SuiteCBC:
		w, err = sealCBC(s, h, secret, chance)
	default:
		w, err = c.sealOAEP(h, secret, chance)
	}
	if err != nil {
		return wrapping{}, err
	}
	w.suite = c.suite
	if shapes[c.suite].mac {
		w.mac, err = mac(s, h, outer, w)
	}
	return w, err
}

// open decrypts what seal made. The error matches [ErrCorrupt] where this is certain to be about the data.
func (c scheme) open(s cryptoki.Session, h handles, w wrapping, outer []byte) ([]byte, error) {
	if w.suite != c.suite {
		return nil, ErrCorrupt
	}
	m := cryptoki.Mechanism{Type: shapes[c.suite].mechanism}
	switch {
	case c.suite.gcm():
		m.GCM = &cryptoki.GCM{IV: bytes.Clone(w.iv), AAD: outer}
	case c.suite == SuiteCBC:
		m.IV = w.iv
	default:
		m.OAEP = &cryptoki.OAEP{Hash: c.hash}
	}
	if shapes[c.suite].mac {
		sum, err := mac(s, h, outer, w)
		if err != nil {
			return nil, err
		}
		if !hmac.Equal(sum, w.mac) {
			return nil, ErrCorrupt
		}
	}
	secret, err := s.Do(cryptoki.Decrypt, h.key, m, w.text)
	if isDataError(err) {
		return nil, ErrCorrupt
	}
	return secret, err
}

// sealGCM sees to it that the IV is whose the suite says. The caller's is random also where the token is to choose, so that
// a token that does not makes nothing unsafe.
func (c scheme) sealGCM(s cryptoki.Session, h handles, secret, outer, chance []byte) (wrapping, error) {
	iv := bytes.Clone(chance)
	text, err := s.Do(cryptoki.Encrypt, h.key, cryptoki.Mechanism{Type: cryptoki.AESGCM, GCM: &cryptoki.GCM{IV: iv, AAD: outer}}, secret)
	if err != nil {
		return wrapping{}, err
	}
	appended := len(text) - len(secret) - tagSize
	overwritten := !bytes.Equal(iv, chance)
	switch c.suite {
	case SuiteGCMAppended:
		if appended != shapes[c.suite].ivSize {
			return wrapping{}, fmt.Errorf("%w: the token does not append an IV of %d bytes", ErrUnsupported, shapes[c.suite].ivSize)
		}
		text, iv = text[:len(text)-appended], bytes.Clone(text[len(text)-appended:])
	case SuiteGCMTokenIV:
		if appended != 0 || !overwritten {
			return wrapping{}, fmt.Errorf("%w: the token does not write an IV of its own", ErrUnsupported)
		}
	default:
		if appended != 0 || overwritten {
			return wrapping{}, fmt.Errorf("%w: the token does not take the caller's IV", ErrUnsupported)
		}
	}
	if len(bytes.Trim(iv, "\x00")) == 0 {
		return wrapping{}, fmt.Errorf("%w: the token gives an IV of zeros", ErrUnsupported)
	}
	return wrapping{iv: iv, text: text}, nil
}

func sealCBC(s cryptoki.Session, h handles, secret, iv []byte) (wrapping, error) {
	text, err := s.Do(cryptoki.Encrypt, h.key, cryptoki.Mechanism{Type: cryptoki.AESCBCPad, IV: bytes.Clone(iv)}, secret)
	if err != nil {
		return wrapping{}, err
	}
	if len(text) != len(secret)/blockSize*blockSize+blockSize {
		return wrapping{}, fmt.Errorf("%w: the token does not pad as PKCS #7 does", ErrUnsupported)
	}
	return wrapping{iv: iv, text: text}, nil
}

// sealOAEP encrypts here: the token has no part in it but the MAC.
func (c scheme) sealOAEP(h handles, secret, seed []byte) (wrapping, error) {
	hash := sha256.New()
	if c.hash == cryptoki.SHA1 {
		hash = sha1.New() //nolint:gosec // see the import
	}
	text, err := rsa.EncryptOAEP(hash, bytes.NewReader(seed), h.public, secret, nil)
	if err != nil {
		return wrapping{}, fmt.Errorf("encrypt with the public key: %w", err)
	}
	return wrapping{text: text}, nil
}

// mac returns the MAC of what was encrypted, made by the token (C_Sign).
func mac(s cryptoki.Session, h handles, outer []byte, w wrapping) ([]byte, error) {
	sum, err := s.Do(cryptoki.Sign, h.mac, cryptoki.Mechanism{Type: cryptoki.SHA256HMAC}, macInput(outer, w.iv, w.text))
	if err == nil && len(sum) != macSize {
		err = fmt.Errorf("%w: the token makes a MAC of %d bytes, want %d", ErrUnsupported, len(sum), macSize)
	}
	return sum, err
}

// isDataError reports an error of C_Decrypt that can be about the data only (PKCS#11 section 5.10).
func isDataError(err error) bool {
	for _, e := range []cryptoki.Error{
		cryptoki.ErrEncryptedDataInvalid, cryptoki.ErrEncryptedDataLenRange, cryptoki.ErrDataInvalid, cryptoki.ErrDataLenRange,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// isRefusal reports that what was to be opened did not open, which may be the token's fault.
func isRefusal(err error) bool { return errors.Is(err, ErrCorrupt) || isAmbiguous(err) }

// isAmbiguous reports an error that tokens return for data that does not authenticate, and for trouble of their own.
func isAmbiguous(err error) bool {
	return !errors.Is(err, ErrUnavailable) && (errors.Is(err, cryptoki.ErrGeneralError) || errors.Is(err, cryptoki.ErrFunctionFailed))
}
