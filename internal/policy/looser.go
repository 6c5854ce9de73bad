// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy

// Loosening is a field in which a policy is looser than another one.
type Loosening struct {
	Field    string
	From, To string // as JSON, a text without its quotes
	Why      string
}

// Looser returns the fields in which the second document is looser than the first one, in the order of the rows. What cannot be
// compared is looser where it differs, so that a chain of revisions of which none is looser than the one before never ends looser
// than it began.
func Looser(from, to Document) (found []Loosening) {
	for _, f := range fields {
		if why := f.Looser(from, to); why != "" {
			found = append(found, Loosening{f.Name, f.Text(from), f.Text(to), why})
		}
	}
	return found
}

// LooserThan returns in what a policy is looser than another one. Nil is no policy: nothing is looser than that.
func LooserThan(from, to *Policy) []Loosening {
	switch {
	case from == nil:
		return nil
	case to == nil:
		return []Loosening{{"policy", from.Name, "", "no policy asks for nothing"}}
	default:
		return Looser(from.Document, to.Document)
	}
}
