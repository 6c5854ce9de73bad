// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package transitformat

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/helper/keysutil"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// MostVersions bounds the numbers of versions that a backup may name: each has a date, whether it was trimmed or not.
const MostVersions = 1 << 16

// document is the JSON. It is [keysutil.KeyData] with a member of ours.
type document struct {
	Policy       *policy    `json:"policy"`
	ArchivedKeys *archive   `json:"archived_keys"`
	Ours         *extension `json:"keylife,omitempty"`
	ManyTypes    *policy    `json:"policy_of_many_types,omitempty"`
}

// document hides the policy of a key whose versions differ in type from Transit, which has one type a key: it refuses a document
// without a policy, and would restore versions that open nothing.
func (b Backup) document(p *policy, all *archive) document {
	if lifecycle.TypesOf(&b.Key).Differ() {
		return document{ArchivedKeys: all, Ours: b.extension(), ManyTypes: p}
	}
	return document{Policy: p, ArchivedKeys: all, Ours: b.extension()}
}

// policy is Transit's, with the type as [typeName].
type policy struct {
	keysutil.Policy
	Type typeName `json:"type"`
}

type archive struct {
	Keys []keysutil.KeyEntry `json:"keys"`
}

// typeName is the type of a key. Transit has numbers for its own types. Another type stands there by its name: Transit would take
// a number for a key, and have one that does nothing, whereas a text it refuses by the name of the member.
type typeName string

// transitTypes are the numbers of Transit's types, by their names.
var transitTypes = func() map[typeName]keysutil.KeyType {
	const some = 64 // as many as there may ever be
	types := map[typeName]keysutil.KeyType{}
	for t := range keysutil.KeyType(some) {
		types[typeName(t.String())] = t
	}
	return types
}()

// MarshalJSON returns a number or a text.
func (t typeName) MarshalJSON() ([]byte, error) {
	if number, known := transitTypes[t]; known {
		return json.Marshal(int(number))
	}
	return json.Marshal(string(t))
}

// UnmarshalJSON reads a number or a text.
func (t *typeName) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, (*string)(t))
	}
	var number keysutil.KeyType
	err := json.Unmarshal(data, &number)
	*t = typeName(number.String())
	return err
}

// broken reports what is no backup. Transit answers it as a fault.
func broken(format string, args ...any) error {
	return refusal.AsFault(refusal.Invalidf("backup: "+format, args...))
}

// parse reads the JSON. No error shows what a member holds: it may be a key.
func parse(text string) (d document, err error) {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return d, broken("%v", err)
	}
	defer clear(data)
	decoder := json.NewDecoder(bytes.NewReader(data))
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch err := decoder.Decode(&d); {
	case errors.As(err, &syntax):
		return d, broken("is no JSON at byte %d", syntax.Offset)
	case errors.As(err, &kind):
		field := strings.Replace(kind.Field, "policy.Policy.", "policy.", 1) // as it stands in the JSON
		return d, broken("%s: has a value of the wrong type", field)
	case err != nil:
		return d, broken("is not the JSON of a backup")
	}
	if d.Policy == nil {
		d.Policy = d.ManyTypes
	}
	if d.Policy == nil {
		return d, refusal.Invalidf("backup: backup data does not contain a valid policy") // no fault: Transit panics
	}
	return d, nil
}

// key is the key that the backup is of, without an identity.
func (d document) key() (k lifecycle.Key, err error) {
	p := d.Policy
	none := typeName(keysutil.KeyType(0).String()) // what Transit takes a missing number for
	if k.Type, err = keytype.Parse(string(cmp.Or(p.Type, none))); err != nil {
		return k, refusal.Invalidf("backup: %v", err)
	}
	switch {
	case p.VersionTemplate != "" && p.VersionTemplate != keysutil.DefaultVersionTemplate:
		return k, refusal.Invalidf("backup: version_template: ciphertexts of the key begin otherwise than with vault:v")
	case p.Derived && p.KDF != keysutil.Kdf_hkdf_sha256:
		return k, refusal.Invalidf("backup: kdf: %d: must be %d, HKDF: keys of other functions are not restored", p.KDF, keysutil.Kdf_hkdf_sha256)
	case p.LatestVersion == 0:
		p.LatestVersion = max(len(p.Keys), 1) // as in Transit's upgrade
	}
	k.Name, k.Size, k.Derived, k.Convergent = p.Name, p.KeySize, p.Derived, p.ConvergentEncryption
	if k.Type != keytype.HMAC {
		k.Size = 0
	}
	k.Exportable, k.AllowPlaintextBackup, k.DeletionAllowed = p.Exportable, p.AllowPlaintextBackup, p.DeletionAllowed
	k.Latest, k.Primary = p.LatestVersion, p.LatestVersion
	k.MinDecryption, k.MinEncryption, k.MinAvailable = p.MinDecryptionVersion, p.MinEncryptionVersion, p.MinAvailableVersion
	k.Imported, k.AllowRotation = p.Imported, p.AllowImportedKeyRotation
	if p.AutoRotatePeriod > 0 && (k.AllowRotation || !k.Imported) { // Transit rotates no other
		k.AutoRotatePeriod = max(p.AutoRotatePeriod, time.Hour) // an import into Transit takes less
	}
	if err := checkNumbers(k); err != nil {
		return k, err
	}
	return d.Ours.onto(k)
}

// checkNumbers holds what Transit relies on, too.
func checkNumbers(k lifecycle.Key) error {
	switch {
	case k.MinDecryption < 1:
		return broken("minimum decryption version of %d is less than 1", k.MinDecryption)
	case k.Latest < 1 || k.Latest > MostVersions:
		return broken("latest version of %d: must be from 1 to %d", k.Latest, MostVersions)
	case k.MinDecryption > k.Latest, k.MinEncryption > k.Latest, k.MinEncryption < 0, k.MinAvailable < 0:
		return broken("minimum decryption version of %d, minimum encryption version of %d and minimum available version of %d: must not be greater than the latest version %d, nor negative", k.MinDecryption, k.MinEncryption, k.MinAvailable, k.Latest)
	case k.MinEncryption > 0 && k.MinEncryption < k.MinDecryption:
		return broken("minimum decryption version of %d is greater than minimum encryption version %d", k.MinDecryption, k.MinEncryption)
	case k.MinAvailable > k.MinDecryption:
		return broken("minimum available version of %d is greater than minimum decryption version %d", k.MinAvailable, k.MinDecryption)
	}
	return nil
}

// entries are those of the versions that were not trimmed, by number.
func (d document) entries() (map[int]keysutil.KeyEntry, error) {
	p := d.Policy
	all := make(map[int]keysutil.KeyEntry, len(p.Keys))
	for n := max(p.MinAvailableVersion, 1); n <= p.LatestVersion; n++ {
		entry, found := p.Keys[strconv.Itoa(n)]
		if !found && d.ArchivedKeys != nil && n-p.MinAvailableVersion < len(d.ArchivedKeys.Keys) {
			entry, found = d.ArchivedKeys.Keys[n-p.MinAvailableVersion], true
		}
		if !found {
			return nil, broken("version %d is not in it", n)
		}
		all[n] = entry
	}
	return all, nil
}
