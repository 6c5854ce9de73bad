// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

const (
	policy  = "mass"
	quiet   = 100 // keys that nothing is done to
	busy    = 100 // keys that rotate and are used
	creates = 8   // at once
)

type body = map[string]any

// mount is a mount of which all keys of a policy rotate.
type mount struct {
	server *harness.Server
	keys   int
}

func (m *mount) send(method, path string, in body) (map[string]any, error) {
	reply, err := m.server.Send(harness.Request{Method: method, Path: "keylife/" + path, Body: in})
	if err == nil && reply.Status != http.StatusOK {
		err = fmt.Errorf("%s %s: %d: %v", method, path, reply.Status, reply.Body["errors"])
	}
	return reply.Data(), err
}

func rotating(i int) string { return fmt.Sprintf("rotating-%05d", i) }

func quietKey(i int) string { return fmt.Sprintf("quiet-%03d", i) }

// create makes the keys.
func (m *mount) create(ctx context.Context) error {
	if err := m.schedule("0 0 1 1 *"); err != nil {
		return err
	}
	var next atomic.Int64
	errs := make([]error, creates)
	var workers sync.WaitGroup
	for w := range creates {
		workers.Go(func() {
			for ctx.Err() == nil && errs[w] == nil {
				switch i := int(next.Add(1)) - 1; {
				case i < quiet:
					_, errs[w] = m.send(http.MethodPost, "keys/"+quietKey(i), nil)
				case i < quiet+m.keys:
					_, errs[w] = m.send(http.MethodPost, "keys/"+rotating(i-quiet), body{"policy": policy})
				default:
					return
				}
			}
		})
	}
	workers.Wait()
	return errors.Join(append(errs, ctx.Err())...)
}

// schedule says when the keys rotate, by a cron expression of UTC.
func (m *mount) schedule(cron string) error {
	_, err := m.send(http.MethodPost, "policies/"+policy, body{"owner": "bench", "rotation_schedule": cron, "rotation_jitter": 0})
	return err
}

// at is the cron expression of one minute of a year.
func at(t time.Time) string {
	t = t.UTC()
	return fmt.Sprintf("%d %d %d %d *", t.Minute(), t.Hour(), t.Day(), t.Month())
}

// rotations are those that the plugin counted, in all.
func (m *mount) rotations() (n float64, err error) {
	out, err := m.send(http.MethodGet, "metrics?format=json&prefix=keylife_rotations_total", nil)
	if err != nil {
		return 0, err
	}
	values, _ := out["metrics"].(map[string]any)
	for series, value := range values {
		number, _ := value.(json.Number)
		if figure, err := number.Float64(); err == nil && strings.Contains(series, `"ok"`) {
			n += figure
		}
	}
	return n, nil
}
