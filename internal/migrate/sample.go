// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package migrate

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
)

// probe is an operation that protects a text, and the one that proves with which key.
type probe struct {
	protect, process string // paths
	input, output    string // fields
	batch            bool   // one request protects with many versions: the others take key_version of the whole request alone
	plain            bool   // is never derived
}

var (
	encryption = probe{protect: "encrypt", process: "decrypt", input: "plaintext", output: "ciphertext", batch: true}
	signature  = probe{protect: "sign", process: "verify", input: "input", output: "signature"}
	hmac       = probe{protect: "hmac", process: "verify", input: "input", output: "hmac", plain: true}
	cmac       = probe{protect: "cmac", process: "verify", input: "input", output: "cmac", plain: true}
)

// probes returns what the key does: first the one of which every version is proven, and what its material is exported as.
func (v *view) probes() (all []probe, exported string) {
	switch {
	case strings.HasSuffix(v.Type, "-cmac"):
		return []probe{cmac}, "cmac-key"
	case v.Encrypts && v.Signs:
		all, exported = []probe{encryption, signature, hmac}, "encryption-key"
	case v.Encrypts:
		all, exported = []probe{encryption, hmac}, "encryption-key"
	case v.Signs:
		all, exported = []probe{signature, hmac}, "signing-key"
	default:
		return []probe{hmac}, "hmac-key"
	}
	if len(v.Uses) > 0 { // the key may do no more than its use
		all = all[:1]
	}
	return all, exported
}

// sample is a random text, and what a version made of it. It never leaves memory.
type sample struct {
	version        int
	input, context string
	output         string
	why            string // there is none
}

// result is an item of a batch, or an answer.
type result struct {
	Plaintext  string
	Ciphertext string
	Signature  string
	HMAC       string `json:"hmac"`
	CMAC       string `json:"cmac"`
	Valid      bool
	Error      string
}

func (r result) output() string {
	for _, text := range []string{r.Ciphertext, r.Signature, r.HMAC, r.CMAC} {
		if text != "" {
			return text
		}
	}
	return ""
}

// sampler draws samples from an engine.
type sampler struct {
	*engine
	rand    io.Reader
	key     string
	derived bool
}

// draw has versions of the key protect random texts. One that must not protect any more says why.
func (s sampler) draw(ctx context.Context, p probe, versions []int) ([]sample, error) {
	all := make([]sample, len(versions))
	for i, n := range versions {
		all[i].version = n
		for _, text := range []*string{&all[i].input, &all[i].context} {
			raw := make([]byte, 32)
			if _, err := io.ReadFull(s.rand, raw); err != nil {
				return nil, err
			}
			*text = base64.StdEncoding.EncodeToString(raw)
		}
		if p.plain || !s.derived {
			all[i].context = ""
		}
	}
	protect := s.eachAlone
	if p.batch {
		protect = s.allAtOnce
	}
	if err := protect(ctx, p, all); err != nil {
		return nil, err
	}
	for i, s := range all {
		if s.output != "" && !strings.HasPrefix(s.output, fmt.Sprintf("vault:v%d:", s.version)) {
			all[i].output, all[i].why = "", "another version protected"
		}
	}
	return all, nil
}

func (s sampler) eachAlone(ctx context.Context, p probe, all []sample) error {
	for i := range all {
		var out result
		data := all[i].fields(p.input, all[i].input)
		data["key_version"] = all[i].version
		err := s.call(ctx, Request{Operation: Write, Path: p.protect + "/" + s.key, Data: data}, &out)
		if err != nil && !isMeant(err) {
			return err
		}
		if all[i].output = out.output(); err != nil {
			all[i].output, all[i].why = "", err.Error()
		}
	}
	return nil
}

func (s sampler) allAtOnce(ctx context.Context, p probe, all []sample) error {
	items := make([]any, len(all))
	for i := range all {
		item := all[i].fields(p.input, all[i].input)
		item["key_version"] = all[i].version
		items[i] = item
	}
	results, err := s.batch(ctx, p.protect, items)
	if err != nil && !isMeant(err) {
		return err
	}
	for i := range all {
		switch {
		case results != nil:
			all[i].output, all[i].why = results[i].output(), results[i].Error
		case err != nil:
			all[i].why = err.Error()
		}
	}
	return nil
}

// isMeant reports whether a request was refused for what it asks: by the rules of the key, and not by those of the token. Transit
// answers 500 to some of them.
func isMeant(err error) bool { return isRefused(err, 400, 500) }

func (s sample) fields(name, value string) map[string]any {
	data := map[string]any{name: value}
	if s.context != "" {
		data["context"] = s.context
	}
	return data
}

// batch returns a result for each item, or none.
func (s sampler) batch(ctx context.Context, path string, items []any) ([]result, error) {
	var out struct {
		Results []result `json:"batch_results"`
	}
	data := map[string]any{"batch_input": items}
	if path == encryption.protect {
		data["partial_failure_response_code"] = 200
	}
	err := s.call(ctx, Request{Operation: Write, Path: path + "/" + s.key, Data: data}, &out)
	if len(out.Results) != len(items) {
		out.Results = nil
	}
	return out.Results, err
}

// unequal is a version that does not process what the same version of the other engine protected.
type unequal struct{ why string }

func (u *unequal) Error() string { return u.why }

// hold has the key process samples of the other engine.
func (s sampler) hold(ctx context.Context, p probe, all []sample) error {
	if len(all) == 0 {
		return nil
	}
	items := make([]any, len(all))
	for i, sample := range all {
		item := sample.fields(p.output, sample.output)
		if p.process == signature.process {
			item[p.input] = sample.input
		}
		items[i] = item
	}
	results, err := s.batch(ctx, p.process, items)
	if results == nil {
		if err == nil {
			err = fmt.Errorf("%s: %s/%s: no results", s.role, p.process, s.key)
		}
		return err
	}
	for i, r := range results {
		equal := r.Valid
		if p.process == encryption.process {
			equal = r.Plaintext == all[i].input
		}
		if !equal {
			return &unequal{strings.TrimSpace(fmt.Sprintf("version %d: the %s does not %s the other's %s: %s", all[i].version, s.role, p.process, p.output, r.Error))}
		}
	}
	return err
}
