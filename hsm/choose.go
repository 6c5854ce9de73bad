// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// Mechanism says which mechanism of a token is to wrap.
type Mechanism string

// The mechanisms. Auto takes the first that passes: AES-GCM, AES-CBC with HMAC, RSA-OAEP with HMAC.
const (
	Auto    Mechanism = "auto"
	AESGCM  Mechanism = "aes-gcm"
	AESCBC  Mechanism = "aes-cbc-hmac"
	RSAOAEP Mechanism = "rsa-oaep-hmac"
)

// IVMode says where the IV of AES-GCM comes from. It is never found out: a token asked without an IV may take zeros.
type IVMode string

// The modes, each with the tokens it is for.
const (
	IVCaller   IVMode = "caller"       // most
	IVToken    IVMode = "hsm"          // written over the caller's: AWS CloudHSM
	IVAppended IVMode = "hsm_appended" // appended to the ciphertext: Thales Luna in FIPS mode
)

// Options say which suites a key may have. The zero Options are Auto, with the IV of the caller.
type Options struct {
	Mechanism Mechanism
	IVMode    IVMode
	OAEPHash  cryptoki.HashType
	RSABits   int // of keys that are made; zero: 3072
}

// Choice is a suite that the token passed, and why the others were not taken.
type Choice struct {
	Suite    Suite
	Rejected []Rejection
}

// Rejection is a suite that was not taken.
type Rejection struct {
	Suite  Suite
	Reason string
}

func (c *Choice) reject(s Suite, reason string) {
	c.Rejected = append(c.Rejected, Rejection{s, reason})
}

// none returns the error of a choice that found nothing.
func (c *Choice) none() error {
	var reasons []string
	for _, r := range c.Rejected {
		reasons = append(reasons, r.Suite.String()+": "+r.Reason)
	}
	return fmt.Errorf("%w: the token passes no suite: %s", ErrUnsupported, strings.Join(reasons, "; "))
}

// excluded returns why the options leave a suite out, and nothing for one that they do not.
func (o Options) excluded(s Suite) string {
	mechanism, mode := Auto, IVCaller
	if o.Mechanism != "" {
		mechanism = o.Mechanism
	}
	if o.IVMode != "" {
		mode = o.IVMode
	}
	of := map[Suite]Mechanism{SuiteCBC: AESCBC, SuiteOAEP: RSAOAEP}[s]
	if s.gcm() {
		of = AESGCM
	}
	iv := map[Suite]IVMode{SuiteGCM: IVCaller, SuiteGCMTokenIV: IVToken, SuiteGCMAppended: IVAppended}[s]
	switch {
	case mechanism != Auto && mechanism != of:
		return fmt.Sprintf("mechanism is %s", mechanism)
	case s.gcm() && mode != iv:
		return fmt.Sprintf("gcm_iv_mode is %s", mode)
	}
	return ""
}

// Allow reports whether the options leave a suite in.
func (o Options) Allow(s Suite) bool { return o.excluded(s) == "" }

// check refuses options that name nothing.
func (o Options) check() error {
	switch {
	case !slices.Contains([]Mechanism{"", Auto, AESGCM, AESCBC, RSAOAEP}, o.Mechanism):
		return fmt.Errorf("%w: mechanism %q", ErrUnsupported, o.Mechanism)
	case !slices.Contains([]IVMode{"", IVCaller, IVToken, IVAppended}, o.IVMode):
		return fmt.Errorf("%w: gcm_iv_mode %q", ErrUnsupported, o.IVMode)
	}
	return nil
}

// testLabel is the CKA_LABEL of the keys that Choose makes and destroys.
const testLabel = "keylife-self-test"

// Choose returns the first suite that the token passes with a key that is made for the test and destroyed after it. A token
// that is away ends the choice: it says nothing of suites.
func Choose(ctx context.Context, t Token, o Options, now time.Time, rand io.Reader) (Choice, error) {
	return choose(ctx, t, o, true, func(s Suite) error {
		k, err := DrawKEK(Spec{Label: testLabel, Suite: s, OAEPHash: o.OAEPHash, RSABits: o.RSABits}, now, rand)
		if err != nil {
			return err
		}
		_, err = Create(ctx, t, k, rand)
		if gone := Destroy(context.WithoutCancel(ctx), t, k); gone != nil && !errors.Is(gone, ErrKEKMissing) {
			err = errors.Join(err, fmt.Errorf("the test's own key stays on the token: %w", gone))
		}
		return err
	})
}

// choose tries the suites that the options and the mechanisms of the token leave.
func choose(ctx context.Context, t Token, o Options, generate bool, try func(Suite) error) (c Choice, err error) {
	if err := o.check(); err != nil {
		return Choice{}, err
	}
	has, err := t.Mechanisms(ctx)
	if err != nil {
		return Choice{}, fmt.Errorf("list mechanisms: %w", err)
	}
	for _, s := range Suites() {
		reason := o.excluded(s)
		switch missing := shapes[s].lacks(has, generate); {
		case reason != "":
			c.reject(s, reason)
		case c.Suite != 0:
			c.reject(s, c.Suite.String()+" was taken")
		case len(missing) > 0:
			c.reject(s, fmt.Sprintf("the token does not list %v", missing))
		default:
			err := try(s)
			switch {
			case err == nil:
				c.Suite = s
			case isAway(ctx, err):
				return Choice{}, err
			default:
				c.reject(s, err.Error())
			}
		}
	}
	if c.Suite == 0 {
		return Choice{}, c.none()
	}
	return c, nil
}

// isAway reports an error that says nothing of what was tried.
func isAway(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, ErrUnavailable) || errors.Is(err, ErrPINRejected) || errors.Is(err, ErrMisconfigured) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}
