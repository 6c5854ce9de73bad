// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package vaultapi is the way from Vault to a handler and back. It knows Vault's SDK, and no rule of keys or policies.
//
// A [Field] is declared once, as a variable: its name, its type, its description. A [Path] is made of fields and
// operations, and a [Mount] makes of paths what the SDK takes. Before a handler runs, the mount refuses bad fields; after
// it, the mount turns the handler's error into a status, by one table. A handler reads its fields, makes one call and
// shows the result:
//
//	func (a keysAPI) plan(ctx context.Context, r *request) (*logical.Response, error) {
//		events, err := a.engine.Forecast(ctx, r.store, fName.Get(r), fCount.Get(r))
//		if err != nil {
//			return nil, err
//		}
//		return planAnswer.Of(events), nil
//	}
//
// # Sources
//
// Fields are read from a [Source]: a [Request], an item of a batch ([Items]) or a document in [HCL]. The same function
// reads all of them. How a value is taken depends on the source's [Mode]; an error names the field, the value unless it
// may be a secret, and the rule.
//
//   - [Transit] and [Strict] are for requests. The SDK converts values; what it would bend into shape is refused.
//   - [Item] and [LooseItem] are for items of a batch: the JSON types have to be right. The first error stays in the source.
//   - [Document] is for HCL: it is as Strict.
//
// [Source.CheckTexts] asks more of a request or a document: a text, also inside a list or an object, has to be one as it
// is written, in Unicode's normal form C. What is written field by field and what is written as a document is then the
// same value. A field may add to that: [Field.OrSeconds] and [Field.Rule].
//
// # Answers
//
// An [Answer] lists the fields that show a value, each with how it is taken from the value. Schema and data come from
// the same list. [Table] and [Lines] show a row of such fields for each name of a LIST.
package vaultapi
