// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAMessageThatIsNoneHasAVerdict(t *testing.T) {
	var out bytes.Buffer
	key := "\"data_key\":\"" + strings.Repeat("A", 43) + "=\""
	require.NoError(t, answer(strings.NewReader("{"+key+",\"message\":\"S0xFMQ==\"}\n{"+key+",\"text\":\"kle1.A\"}\n"), &out))
	none := "{\"parsed\":false,\"suite\":0,\"key\":\"\",\"edk\":\"\",\"version\":0,\"opened\":false,\"plaintext\":null}\n"
	require.Equal(t, none+none, out.String())
	require.Error(t, answer(strings.NewReader("no question"), &out))
}
