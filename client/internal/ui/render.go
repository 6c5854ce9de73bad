// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package ui

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed templates
var templates embed.FS

// renderer has a template a page, each with the layout and the parts of all.
type renderer struct{ pages map[string]*template.Template }

func newRenderer() (*renderer, error) {
	common, err := template.New("layout").Funcs(functions).ParseFS(templates, "templates/layout.html", "templates/parts.html", "templates/timeline.html")
	if err != nil {
		return nil, err
	}
	files, err := templates.ReadDir("templates/pages")
	if err != nil {
		return nil, err
	}
	r := &renderer{pages: map[string]*template.Template{}}
	for _, file := range files {
		page, err := common.Clone()
		if err != nil {
			return nil, err
		}
		if page, err = page.ParseFS(templates, path.Join("templates/pages", file.Name())); err != nil {
			return nil, err
		}
		r.pages[strings.TrimSuffix(file.Name(), ".html")] = page
	}
	return r, nil
}

// view is what a template gets. Now is the mount's, where it says it.
type view struct {
	Title   string
	Path    string // of the request, to mark where people are
	Query   string // with a question mark, to come back here
	Mount   string
	Address string
	Now     time.Time
	Page    any
}

// page is a view of what the page has read.
func (s *Server) page(r *http.Request, title string, content any) view {
	return view{Title: title, Path: r.URL.Path, Mount: s.mount.Path(), Address: s.mount.Address(), Now: s.now().UTC(), Page: content}
}

// write answers with a whole page or, where the template fails, with none.
func (p *renderer) write(w http.ResponseWriter, status int, name string, v view) {
	var page bytes.Buffer
	if err := p.pages[name].ExecuteTemplate(&page, "layout", v); err != nil {
		http.Error(w, "the page cannot be shown: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes()) // there is nobody to tell
}
