// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

const (
	deniedPrefix = "denied/"
	usagePrefix  = "usage/"
)

// deniedRecord is denied/<name>/<page>: denied uses of pageSize versions, by version. It bounds the record whatever the
// number of versions.
type deniedRecord struct {
	Schema int                       `json:"schema"`
	KeyID  string                    `json:"key_id"` // a key of the same name starts anew
	Denied map[int]lifecycle.Denials `json:"denied"`
}

// usageRecord is usage/<name>: denied uses of all versions, as earlier builds wrote them. It is read where a page is not
// there, and a page that is written takes over what it says of the page's versions.
type usageRecord struct {
	Schema int                       `json:"schema"`
	Denied map[int]lifecycle.Denials `json:"denied"`
}

func pageOf(version int) int { return (version - 1) / pageSize }

func deniedPath(name string, page int) string { return deniedPrefix + name + "/" + strconv.Itoa(page) }

// earlier gives what an earlier build wrote, read at most once.
type earlier = func() (map[int]lifecycle.Denials, error)

// oldDenied remembers of a key that there is nothing: no build writes it any more.
func (r Denials) oldDenied(ctx context.Context, k lifecycle.Key) earlier {
	return sync.OnceValues(func() (map[int]lifecycle.Denials, error) {
		if r.s.upToDate.Contains(k.ID) {
			return nil, nil
		}
		var rec usageRecord
		_, found, err := read(ctx, r.conn, usagePrefix+k.Name, &rec)
		if err == nil && !found {
			r.s.upToDate.Add(k.ID, struct{}{})
		}
		return rec.Denied, err
	})
}

// Denied returns the denied uses of versions of the key. It reads the pages of these versions only.
func (r Denials) Denied(ctx context.Context, k lifecycle.Key, of lifecycle.Range) (map[int]lifecycle.Denials, error) {
	before := r.oldDenied(ctx, k)
	pages, err := r.deniedPages(ctx, k.Name, of, before)
	if err != nil {
		return nil, err
	}
	denied := map[int]lifecycle.Denials{}
	for _, page := range pages {
		rec, _, err := r.deniedPage(ctx, k, page, before)
		if err != nil {
			return nil, err
		}
		maps.Copy(denied, rec.Denied)
	}
	return denied, nil
}

// deniedPages returns the pages of these versions for which something may be stored.
func (r Denials) deniedPages(ctx context.Context, name string, of lifecycle.Range, before earlier) ([]int, error) {
	first, last := pageOf(of.From), pageOf(of.To)
	if first == last {
		return []int{first}, nil
	}
	names, err := r.list(ctx, deniedPrefix+name+"/")
	if err != nil {
		return nil, err
	}
	old, err := before()
	pages := map[int]struct{}{}
	for version := range old {
		pages[pageOf(version)] = struct{}{}
	}
	for _, name := range names {
		if page, err := strconv.Atoi(name); err == nil {
			pages[page] = struct{}{}
		}
	}
	maps.DeleteFunc(pages, func(page int, _ struct{}) bool { return page < first || page > last })
	return slices.Sorted(maps.Keys(pages)), err
}

// deniedPage reads a page; where it was never written, what an earlier build wrote of its versions.
func (r Denials) deniedPage(ctx context.Context, k lifecycle.Key, page int, before earlier) (deniedRecord, unknown, error) {
	var rec deniedRecord
	rest, found, err := read(ctx, r.conn, deniedPath(k.Name, page), &rec)
	if err != nil || found && rec.KeyID == k.ID {
		return rec, rest, err
	}
	old, err := before()
	rec = deniedRecord{KeyID: k.ID, Denied: maps.Clone(old)}
	maps.DeleteFunc(rec.Denied, func(version int, _ lifecycle.Denials) bool { return pageOf(version) != page })
	return rec, nil, err
}

// AddDenied adds denied uses to those of the key, and returns those that it could not. Uses of a key that was deleted
// meanwhile are dropped: the next key of the name starts anew.
func (r Denials) AddDenied(ctx context.Context, name string, more map[int]lifecycle.Denials) (left map[int]lifecycle.Denials, err error) {
	unlock, err := r.lock(ctx, &r.s.keys, name)
	if err != nil {
		return more, err
	}
	defer unlock()
	k, err := Keys(r).Key(ctx, name)
	if errors.Is(err, refusal.ErrNotFound) {
		return map[int]lifecycle.Denials{}, nil
	}
	if err != nil {
		return more, err
	}
	before := r.oldDenied(ctx, k)
	left = map[int]lifecycle.Denials{}
	for page, part := range byPage(more) {
		if pageErr := r.addToPage(ctx, k, page, part, before); pageErr != nil {
			maps.Copy(left, part)
			err = errors.Join(err, pageErr)
		}
	}
	return left, err
}

func byPage(denied map[int]lifecycle.Denials) map[int]map[int]lifecycle.Denials {
	pages := map[int]map[int]lifecycle.Denials{}
	for version, d := range denied {
		if pages[pageOf(version)] == nil {
			pages[pageOf(version)] = map[int]lifecycle.Denials{}
		}
		pages[pageOf(version)][version] = d
	}
	return pages
}

func (r Denials) addToPage(ctx context.Context, k lifecycle.Key, page int, more map[int]lifecycle.Denials, before earlier) error {
	rec, rest, err := r.deniedPage(ctx, k, page, before)
	if err != nil {
		return err
	}
	if rec.Denied == nil {
		rec.Denied = map[int]lifecycle.Denials{}
	}
	for version, denied := range more {
		rec.Denied[version] = rec.Denied[version].Plus(denied)
	}
	rec.Schema = schema
	return r.put(ctx, deniedPath(k.Name, page), rec, rest)
}
