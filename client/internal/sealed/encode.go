// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package sealed

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
)

// encode writes the JSON into memory that can be wiped: encoding/json would keep the keys in buffers of its own, and a slice
// that grows leaves them behind.
func encode(now time.Time, keys []DataKey) ([]byte, error) {
	texts, size, err := quoted(keys)
	if err != nil {
		return nil, err
	}
	out := fmt.Appendf(make([]byte, 0, size), `{"written":%d,"keys":[`, now.Unix())
	for i, k := range keys {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, `{"name":`...), texts[2*i]...), `,"edk":`...)
		out = append(append(out, texts[2*i+1]...), `,"key":"`...)
		out = base64.StdEncoding.AppendEncode(out, k.Key)
		out = fmt.Appendf(out, `","protect":%d,"process":%d,"messages":%d,"bytes":%d,"made":%d}`, k.Protect, k.Process, k.Messages, k.Bytes, k.Made)
	}
	return append(out, "]}"...), nil
}

// quoted are name and encrypted data key of each key, and how much memory the whole needs.
func quoted(keys []DataKey) (texts [][]byte, size int, err error) {
	const fixed, each = 64, 256 // bytes around the keys; and of one key: its members, 44 of the key, at most 100 of its numbers
	for _, k := range keys {
		if len(k.Key) != keySize {
			return nil, 0, fmt.Errorf("data key of %q: %d bytes, want %d", k.Name, len(k.Key), keySize)
		}
		for _, text := range []string{k.Name, k.EDK} {
			q, err := json.Marshal(text)
			if err != nil {
				return nil, 0, fmt.Errorf("data key of %q: %w", k.Name, err)
			}
			texts = append(texts, q)
			size += len(q)
		}
	}
	return texts, fixed + size + len(keys)*each, nil
}
