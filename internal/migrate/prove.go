// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package migrate

import (
	"context"
	"crypto/subtle"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// pair is the two engines of a run.
type pair struct {
	Options
	from, to *engine
}

// Proof says by what each version was proven to be the same in both.
type Proof struct {
	Sample    Versions `json:"sample,omitempty"`     // the target processed what the source's protected
	PublicKey Versions `json:"public_key,omitempty"` // only verifies any more, and the public halves are equal
	Export    Versions `json:"export,omitempty"`     // protects no more, and both give out the same material
	None      Versions `json:"none,omitempty"`
}

// Versions are numbers of versions, in order. In a report they are ranges: "1-3,7".
type Versions []int

// MarshalText is String for a report.
func (v Versions) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

func (v Versions) String() string {
	var all []string
	for i := 0; i < len(v); {
		last := i
		for last+1 < len(v) && v[last+1] == v[last]+1 {
			last++
		}
		text := strconv.Itoa(v[i])
		if last > i {
			text += "-" + strconv.Itoa(v[last])
		}
		all, i = append(all, text), last+1
	}
	return strings.Join(all, ",")
}

// prove has the target process what the source's versions protect, of those that both use, and the source what the target's
// active version does. The error is [unequal] where that shows that the keys are two.
func (p pair) prove(ctx context.Context, key string, source, target *view) (Proof, error) {
	probes, exported := source.probes()
	from := sampler{p.from, p.Rand, key, source.Derived}
	to := sampler{p.to, p.Rand, key, source.Derived}
	var all, protect Versions
	for n := max(source.oldest(), target.oldest()); n <= min(source.Latest, target.Latest); n++ {
		if all = append(all, n); n >= source.MinEncryption {
			protect = append(protect, n)
		}
	}
	samples, err := from.draw(ctx, probes[0], protect)
	if err != nil {
		return Proof{}, err
	}
	samples = slices.DeleteFunc(samples, func(s sample) bool { return s.output == "" })
	if err := to.hold(ctx, probes[0], samples); err != nil {
		return Proof{}, err
	}
	for _, probe := range probes {
		if err := p.proveBack(ctx, probe, to, from, target); err != nil {
			return Proof{}, err
		}
	}
	proven := Proof{}
	for _, s := range samples {
		proven.Sample = append(proven.Sample, s.version)
	}
	all = slices.DeleteFunc(all, func(n int) bool { return slices.Contains(proven.Sample, n) })
	if source.Signs && !source.Encrypts && !source.Derived {
		proven.PublicKey, all = all, nil // they were compared
	}
	return proven, p.proveByExport(ctx, from, exported, all, &proven)
}

// proveBack has the source process what the active version of the target protects: what clients write after the cut-over.
func (p pair) proveBack(ctx context.Context, probe probe, to, from sampler, target *view) error {
	samples, err := to.draw(ctx, probe, []int{target.active()})
	if err != nil {
		return err
	}
	if samples[0].output == "" {
		return fmt.Errorf("target: version %d, which is active, does not %s: %s", target.active(), probe.protect, samples[0].why)
	}
	return from.hold(ctx, probe, samples)
}

// proveByExport compares the material of versions that protect no more.
func (p pair) proveByExport(ctx context.Context, from sampler, kind string, versions Versions, proven *Proof) error {
	if len(versions) == 0 {
		return nil
	}
	source, err := p.from.export(ctx, kind, from.key)
	if err != nil && !isRefused(err) {
		return err
	}
	target, err := p.to.export(ctx, kind, from.key)
	if err != nil && !isRefused(err) {
		return err
	}
	for _, n := range versions {
		a, b := strings.TrimSpace(source[n]), strings.TrimSpace(target[n])
		switch {
		case a == "" || b == "":
			proven.None = append(proven.None, n)
		case subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1:
			proven.Export = append(proven.Export, n)
		default:
			return &unequal{fmt.Sprintf("version %d: the material differs", n)}
		}
	}
	return nil
}
