// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package soak

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/keylife/vault-plugin-keylife/test/bench/result"
	"github.com/keylife/vault-plugin-keylife/test/soak/trend"
)

// Report is what was seen of a mount under load.
type Report struct {
	Config   Config           `json:"config"`
	Machine  result.Machine   `json:"machine"`
	Begun    time.Time        `json:"begun"`
	Requests map[string]int64 `json:"requests"` // by what was asked for
	Failures Failures         `json:"failures"`
	Consent  map[string]int   `json:"consent"` // requests for consent, by their state at the end
	Samples  []Sample         `json:"samples"`
}

// Finding is what became of a figure.
type Finding struct {
	What, Unit string
	Line       trend.Line
	Bound      trend.Bound
	Falls      bool // less is worse
	Points     []trend.Point
}

// Flat tells whether the figure stayed as it was, or became better.
func (f Finding) Flat() bool {
	if f.Falls {
		return !f.Line.Falls(f.Bound)
	}
	return !f.Line.Rises(f.Bound)
}

func (f Finding) String() string {
	word := "flat"
	if !f.Flat() {
		word = "NOT FLAT"
	}
	return fmt.Sprintf("%-8s  %s: %s -> %s", word, f.What, result.Quantity(f.Line.Begin, f.Unit), result.Quantity(f.Line.End, f.Unit))
}

// Judge tells what became of each figure that a run of its length can tell of, after the warm-up. The error says which has too few samples.
func (r Report) Judge() ([]Finding, error) {
	var found []Finding
	for _, f := range figures {
		if r.Config.Length < f.least {
			continue
		}
		points := f.of(r)
		warm := 0
		for warm < len(points) && points[warm].At < r.Config.WarmUp.Seconds() {
			warm++
		}
		line, err := trend.Of(points[warm:])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.what, err)
		}
		found = append(found, Finding{f.what, f.unit, line, f.bound, f.falls, points})
	}
	return found, nil
}

// Verdict is an error that names what is not as it should be.
func (r Report) Verdict() error {
	found, err := r.Judge()
	if err != nil {
		return err
	}
	var wrong []error
	if r.Failures.Count > 0 {
		wrong = append(wrong, fmt.Errorf("%d answers were not due, such as %q", r.Failures.Count, r.Failures.First))
	}
	for _, f := range found {
		if !f.Flat() {
			wrong = append(wrong, errors.New(f.String()))
		}
	}
	return errors.Join(wrong...)
}

// Section is what a page shows of it.
func (r Report) Section() (result.Section, error) {
	found, err := r.Judge()
	s := result.Section{
		Title: "Soak", Intro: r.intro(), Column: "at the end", Machine: r.Machine,
		Figure: &result.Figure{File: pageFolder + figureFile, Alt: "Memory, goroutines, file descriptors, threads, cost and throughput of the plugin's process over time."},
	}
	for _, f := range found {
		s.Rows = append(s.Rows, f.row())
	}
	return s, err
}

// row sets a figure at the end beside the one after the warm-up.
func (f Finding) row() result.Row {
	begin := f.Line.Begin
	b := result.Beside{
		Name: "the end of the warm-up", Value: begin, Ratio: f.Line.End / begin, Low: f.Line.Low / begin, High: f.Line.High / begin,
	}
	room := max(f.Bound.Share, f.Bound.Amount/begin)
	if f.Falls {
		b = b.AtLeast(1 - room)
	} else {
		b = b.AtMost(1 + room)
	}
	return result.Row{What: f.What, Value: f.Line.End, Unit: f.Unit, Beside: []result.Beside{b}}
}

func (r Report) intro() string {
	var requests int64
	for _, n := range r.Requests {
		requests += n
	}
	return fmt.Sprintf("One mount under mixed load for %s: %d keys of %d types that rotate each minute by their policy and live for %s; %s rotations, %s requests of %d kinds, "+
		"of which %s were for consent; %s answered otherwise than it is due. A line is laid through what was sampled of the plugin's process each %s after a warm-up of %s; its ends are compared.",
		short(r.Config.Length), r.Config.Keys, len(types), short(r.Config.Turnover), result.Digits(r.rotations()), result.Digits(float64(requests)), len(r.Requests), result.Digits(float64(r.asked())),
		r.answeredOtherwise(), short(r.Config.Every), short(r.Config.WarmUp))
}

// short is a duration without minutes and seconds that are zero.
func short(d time.Duration) string {
	text := d.Round(time.Second).String()
	if cut, whole := strings.CutSuffix(text, "m0s"); whole {
		text = cut + "m"
	}
	if cut, whole := strings.CutSuffix(text, "h0m"); whole {
		text = cut + "h"
	}
	return text
}

func (r Report) answeredOtherwise() string {
	if r.Failures.Count == 0 {
		return "none was"
	}
	return fmt.Sprintf("**%d were**", r.Failures.Count)
}

func (r Report) asked() (n int) {
	for _, of := range r.Consent {
		n += of
	}
	return n
}

func (r Report) rotations() float64 {
	if len(r.Samples) == 0 {
		return 0
	}
	return r.Samples[len(r.Samples)-1].Rotations
}

// The files of a run.
const (
	samplesFile = "soak-report.json"
	sectionFile = "soak.json"
	figureFile  = "soak.svg"
	pageFolder  = "performance/" // from the page to its sections and figures
)

// Write puts the report, its section and its plot into a folder.
func (r Report) Write(folder string) error {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, samplesFile), text, 0o600); err != nil {
		return err
	}
	s, err := r.Section()
	if err != nil {
		return err
	}
	if err := s.Write(filepath.Join(folder, sectionFile)); err != nil {
		return err
	}
	plot, err := r.Plot()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, figureFile), plot, 0o600)
}
