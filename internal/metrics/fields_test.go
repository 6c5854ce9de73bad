// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package metrics_test

import (
	"context"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/observe"
)

// weighed are facts that a check of health weighs with others: alone they change nothing.
var weighed = map[string]bool{"Health.Started": true, "Health.At": true, "Health.Unfit": true}

// TestEverythingThatIsObservedIsShown sets each thing that an observer holds, one at a time, and looks for the difference.
func TestEverythingThatIsObservedIsShown(t *testing.T) {
	before := text(t, mount())
	count := 0
	for _, path := range countersOf(reflect.TypeFor[observe.Counters](), nil, "") {
		m := mount()
		path.set(reflect.ValueOf(&m.Counters).Elem().FieldByIndex(path.at).Addr().Interface())
		require.NotEqual(t, before, text(t, m), "%s has no metric", path.name)
		count++
	}
	board := reflect.TypeFor[observe.Board]()
	for i := range board.NumField() {
		part := board.Field(i).Type
		get, _ := reflect.PointerTo(part).MethodByName("Get")
		for _, value := range variants(get.Type.Out(0)) {
			if weighed[board.Field(i).Name+value.name] {
				continue
			}
			m := mount()
			reflect.ValueOf(&m.Board).Elem().Field(i).Addr().MethodByName("Set").Call([]reflect.Value{value.of})
			require.NotEqual(t, before, text(t, m), "Board.%s%s has no metric", board.Field(i).Name, value.name)
			count++
		}
	}
	t.Log(count, "fields")
	require.Greater(t, count, 80)
}

type counterPath struct {
	name string
	at   []int
	set  func(counter any)
}

// countersOf finds the counters in a struct.
func countersOf(t reflect.Type, at []int, name string) (paths []counterPath) {
	switch t {
	case reflect.TypeFor[atomic.Int64]():
		return []counterPath{{name, at, func(c any) { c.(*atomic.Int64).Add(7) }}}
	case reflect.TypeFor[observe.Counts]():
		return []counterPath{{name, at, func(c any) {
			counts := c.(*observe.Counts)
			counts.Add(counts.All()[0].Labels, 7)
		}}}
	case reflect.TypeFor[observe.Call]():
		paths = append(paths, counterPath{name + ".Ended", at, func(c any) { c.(*observe.Call).Ended(context.Background(), time.Second, nil) }})
	}
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() {
			paths = append(paths, countersOf(f.Type, append(at[:len(at):len(at)], i), name+"."+f.Name)...)
		}
	}
	return paths
}

type variant struct {
	name string
	of   reflect.Value
}

// variants are values of a type that differ from zero in one thing each. Texts are labels: alone they make no series.
func variants(t reflect.Type) (all []variant) {
	with := func(name string, set func(v reflect.Value)) {
		v := reflect.New(t).Elem()
		set(v)
		all = append(all, variant{name, v})
	}
	switch {
	case t == reflect.TypeFor[time.Time]():
		with("", func(v reflect.Value) { v.Set(reflect.ValueOf(time.Unix(7, 0))) })
	case t.Kind() == reflect.Struct:
		for i := range t.NumField() {
			for _, of := range variants(t.Field(i).Type) {
				with("."+t.Field(i).Name+of.name, func(v reflect.Value) { v.Field(i).Set(of.of) })
			}
		}
	case t.Kind() == reflect.Slice:
		for _, of := range variants(t.Elem()) {
			with("[]"+of.name, func(v reflect.Value) { v.Set(reflect.Append(v, of.of)) })
		}
	case t.Kind() == reflect.Map:
		for _, of := range variants(t.Elem()) {
			with("{}"+of.name, func(v reflect.Value) {
				v.Set(reflect.MakeMap(t))
				v.SetMapIndex(variants(t.Key())[0].of, of.of)
			})
		}
	case t.Kind() == reflect.String:
		with("", func(v reflect.Value) { v.SetString("x") })
	case t.Kind() == reflect.Bool:
		with("", func(v reflect.Value) { v.SetBool(true) })
	case t.Kind() == reflect.Int, t.Kind() == reflect.Int64:
		with("", func(v reflect.Value) { v.SetInt(7) })
	default:
		with("", func(v reflect.Value) { v.SetFloat(7) })
	}
	return all
}
