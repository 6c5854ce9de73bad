// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/enginetest"
)

func TestALineOfAnActSaysWhoseItIsAndHowLongItTook(t *testing.T) {
	var out bytes.Buffer
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	e := engine.New(engine.Config{Now: func() time.Time { return now }, Log: hclog.New(&hclog.LoggerOptions{Output: &out, DisableTime: true})})
	used := ""
	caller := engine.Caller{Entity: "e", Name: "erin", RequestID: "r-1", Began: now, Approval: &used}
	log := e.LogOf(caller)
	now = now.Add(1500 * time.Millisecond)
	for level, line := range map[string]func(string, ...any){"INFO": log.Info, "WARN": log.Warn, "ERROR": log.Error} {
		out.Reset()
		used = ""
		line("rotated key", "key", "k")
		require.Contains(t, out.String(), "["+level)
		require.Contains(t, out.String(), "rotated key: key=k request_id=r-1 entity_id=e took_ms=1500\n")
		out.Reset()
		used = "ap-1"
		line("rotated key", "key", "k")
		require.Contains(t, out.String(), "request_id=r-1 entity_id=e approval=ap-1 took_ms=1500\n")
	}

	out.Reset()
	e.LogOf(engine.Caller{}).Info("rotated key", "key", "k")
	require.Contains(t, out.String(), "rotated key: key=k\n", "what the clock does nobody asked for")
}

func TestAnActLogsTheRequestItIsOf(t *testing.T) {
	var out bytes.Buffer
	w := enginetest.New(t)
	w.Engine.Log = hclog.New(&hclog.LoggerOptions{Output: &out, DisableTime: true})
	w.Asks(engine.Caller{Entity: "e", RequestID: "r-1"})
	w.Create("k", "")
	w.Rotate("k")
	require.Contains(t, out.String(), "request_id=r-1 entity_id=e")
	require.Contains(t, out.String(), "rotated key: key=k version=2 trigger=operator")
}
