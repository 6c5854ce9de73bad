// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policies_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

// numericFields are all fields of a policy that take a number; a length of time is one of seconds.
func numericFields() []string {
	return []string{
		"max_bytes", "max_encryptions", "min_strength_bits", "min_versions_kept", "rotation_retry_cycles", "rotation_period", "destroy_delay",
		"rotation_jitter", "quiet_period", "recipient_period",
	}
}

// TestANumberThatOnlyRoundsToAnIntegerIsNone is about numbers that a float64, or the parser of HCL, takes for an integer.
func TestANumberThatOnlyRoundsToAnIntegerIsNone(t *testing.T) {
	for _, number := range []string{
		"1e-999999999", "-1e-999999999", "1e-400", "0.5", "1e-1", "0.99999999999999999999", "4503599627370496.0000001",
		"9007199254740993", "1e400", "1e999999999", "-1e999999999", "0." + strings.Repeat("9", 300), strings.Repeat("9", 400),
		"1" + strings.Repeat("0", 60_000) + "e-60000", "1e-" + strings.Repeat("9", 60_000),
	} {
		m := mounttest.New(t)
		for i, field := range numericFields() {
			if racetest.Spared(t, i) {
				continue
			}
			document := m.Write("policies/p", "document", "owner = \"o\"\n"+field+" = "+number)
			m.Refused(document)
			require.Regexp(t, "^("+field+": |document: line 2, )", document.Err)
			if strings.HasSuffix(number, "1e-999999999") {
				require.Contains(t, document.Err, number, field)
			}
			fields := m.Write("policies/p", "owner", "o", field, json.Number(number))
			m.Refused(fields, field)
			m.Refused(m.Write("policies/p", "owner", "o", field, number), field)
			require.Equal(t, 404, m.Read("policies/p").Status)
		}
	}
}

func TestAnIntegerIsOneHoweverItIsWritten(t *testing.T) {
	for _, number := range []string{"2592000", "2592000.0", "2592e3", "2.592E+6", "25920000e-1"} {
		m := mounttest.New(t)
		for _, field := range []string{"max_bytes", "quiet_period"} {
			m.Must(m.Write("policies/p", "document", "owner = \"o\"\n"+field+" = "+number))
			require.EqualValues(t, 2592000, m.Must(m.Read("policies/p")).Data[field], "%s %s", field, number)
		}
	}
}

func TestALengthOfTimeThatOnlyRoundsToZeroIsRefused(t *testing.T) {
	m := mounttest.New(t)
	for _, field := range []string{"rotation_period", "recipient_period", "quiet_period", "rotation_jitter"} {
		for _, text := range []string{"0.1ns", "0.0000000000001s", "0d0.5ns"} {
			m.Refused(m.Write("policies/p", "owner", "o", field, text), field, text)
		}
	}
	m.Must(m.Write("policies/p", "owner", "o", "quiet_period", "0d0h0.0s"))
}
