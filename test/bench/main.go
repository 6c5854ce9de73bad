// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Command bench compares engines with the paths of Transit in one real Vault: keylife, a plugin that does nothing, Transit as a
// plugin, and Vault's own Transit. It prints tables of ratios with their spread.
//
//	scripts/bench.sh compare [FLAGS]  builds all plugins and runs it
//	go run ./test/bench [FLAGS]       with VAULT_BIN, KEYLIFE_PLUGIN, BENCH_NOOP and BENCH_TRANSIT set to absolute paths
//
// Only the plugins of the chosen peers, and KEYLIFE_PLUGIN, need be there. Two builds of keylife are compared by
//
//	go run ./test/bench -peers keylife,old=/tmp/old-build,noop -workloads encrypt,batch -rounds 5
//
// -h lists the flags.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/keylife/vault-plugin-keylife/test/bench/load"
	"github.com/keylife/vault-plugin-keylife/test/bench/plot"
	"github.com/keylife/vault-plugin-keylife/test/bench/result"
)

// options are the command line.
type options struct {
	plan
	peers     []peer
	workloads []workload
	latency   []workload // a part of these
	of        string
	out       string
}

func main() {
	runtime.GOMAXPROCS(1) // the generator is to leave the processors to what it measures
	o, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = run(o, os.Stdout, os.Stderr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse(arguments []string, help io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(help)
	known := strings.Join(each(peers, func(p peer) string { return p.name }), ",")
	all := strings.Join(each(workloads, func(w workload) string { return w.name }), ",")
	chosen := flags.String("peers", known, "what is compared; NAME=/PATH is a plugin of its own")
	asked := flags.String("workloads", all, "what is asked")
	timed := flags.String("latency", "", "of which workloads latency is measured too, at equal load")
	flags.StringVar(&o.of, "of", "", "the peer whose figures are told beside the others' (default: the first)")
	flags.StringVar(&o.out, "out", "", "a folder to write the sections into, as JSON and SVG")
	flags.IntVar(&o.rounds, "rounds", 9, "how many rounds count; one more comes before them")
	flags.DurationVar(&o.slice, "slice", 600*time.Millisecond, "how long each peer is asked in a round")
	flags.DurationVar(&o.warm, "warmup", 100*time.Millisecond, "how long before that it is asked without counting")
	flags.IntVar(&o.connections, "connections", 8, "how many ask at once")
	if err = flags.Parse(arguments); err != nil {
		return o, err
	}
	if o.peers, err = chosenPeers(*chosen); err != nil {
		return o, err
	}
	if o.workloads, err = chosenWorkloads(*asked); err != nil {
		return o, err
	}
	if o.latency, err = chosenWorkloads(*timed); err != nil {
		return o, err
	}
	if o.of == "" {
		o.of = o.peers[0].name
	}
	return o, o.check()
}

// check refuses what would end in a panic, or measure nothing.
func (o options) check() error {
	if o.rounds < 1 || o.connections < 1 || o.slice <= 0 {
		return errors.New("rounds, connections and slice have to be above 0")
	}
	for _, w := range o.latency {
		if !slices.ContainsFunc(o.workloads, func(asked workload) bool { return asked.name == w.name }) {
			return fmt.Errorf("latency of %s is measured at a rate that its throughput gives: it has to be among the workloads", w.name)
		}
	}
	if !slices.ContainsFunc(o.peers, func(p peer) bool { return p.name == o.of }) {
		return fmt.Errorf("peer %q is not measured", o.of)
	}
	return nil
}

// run measures, and prints and writes what it found.
func run(o options, out, progress io.Writer) error {
	dir, err := os.MkdirTemp("", "keylife-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a directory left behind spoils no result
	server, mounts, err := start(dir, o.peers)
	if server != nil {
		defer server.Close()
	}
	if err != nil {
		return err
	}
	client, err := load.Dial(host(server), o.connections)
	if err != nil {
		return err
	}
	defer client.Close()
	b, err := newBench(o.plan, mounts, client, o.workloads)
	if err != nil {
		return err
	}
	b.progress = progress
	sections, err := b.measure(o)
	if err != nil {
		return err
	}
	return tell(sections, o.out, out)
}

// named is a section and the name of its file.
type named struct {
	name  string
	drawn bool
	result.Section
}

func (b *bench) measure(o options) ([]named, error) {
	if err := b.throughput(o.workloads); err != nil {
		return nil, err
	}
	r := b.report(o.of)
	sections := []named{{"throughput", true, r.throughput(o.workloads)}, {"cpu", false, r.cpu(o.workloads)}}
	if len(o.latency) == 0 {
		return sections, nil
	}
	if err := b.latency(o.latency); err != nil {
		return nil, err
	}
	return append(sections, named{"latency", false, r.latency(o.latency)}), nil
}

// tell prints sections, and writes them where there is a folder to write to: that of the page's name, beside the page.
func tell(sections []named, folder string, out io.Writer) error {
	machine := result.ThisMachine()
	for i, s := range sections {
		s.Machine = machine
		if folder != "" {
			if err := s.write(folder); err != nil {
				return err
			}
		}
		sections[i] = s
	}
	_, err := fmt.Fprintln(out, result.Markdown(each(sections, func(n named) result.Section { return n.Section })...))
	return err
}

func (n named) write(folder string) error {
	if n.drawn {
		file := n.name + ".svg"
		n.Figure = &result.Figure{File: filepath.Base(folder) + "/" + file, Alt: "The ratios of the table below as bars, with their spread and the targets."}
		if err := os.WriteFile(filepath.Join(folder, file), []byte(plot.Ratios(n.Section)), 0o644); err != nil {
			return err
		}
	}
	return n.Write(filepath.Join(folder, n.name+".json"))
}
