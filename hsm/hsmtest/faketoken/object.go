// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package faketoken

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"math/big"
	"slices"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// object is a key. It does not change once it is made.
type object struct {
	attributes map[cryptoki.AttributeType][]byte // as they are encoded
	secret     []byte
	private    *rsa.PrivateKey
	signer     crypto.Signer // of a private key of any type
	public     *rsa.PublicKey
}

// encode encodes the value of an attribute as C does: CK_BBOOL is a byte, CK_ULONG eight of the machine's order.
func encode(value any) []byte {
	switch v := value.(type) {
	case bool:
		if v {
			return []byte{1}
		}
		return []byte{0}
	case uint:
		return binary.NativeEndian.AppendUint64(nil, uint64(v))
	case string:
		return []byte(v)
	case []byte:
		return bytes.Clone(v)
	case []cryptoki.MechanismType:
		out := []byte{}
		for _, m := range v {
			out = append(out, encode(uint(m))...)
		}
		return out
	}
	return nil
}

func (o *object) has(t cryptoki.Template) bool {
	for _, a := range t {
		if value, ok := o.attributes[a.Type]; !ok || !bytes.Equal(value, encode(a.Value)) {
			return false
		}
	}
	return true
}

func (o *object) is(flag cryptoki.AttributeType) bool {
	return bytes.Equal(o.attributes[flag], encode(true))
}

func (o *object) number(t cryptoki.AttributeType) uint {
	if value := o.attributes[t]; len(value) == 8 {
		return uint(binary.NativeEndian.Uint64(value))
	}
	return 0
}

// newObject makes an object of a template, or says what is wrong with that.
func (d *Device) newObject(class, kind uint, t cryptoki.Template) (*object, error) {
	o := &object{attributes: map[cryptoki.AttributeType][]byte{
		cryptoki.AttrToken: encode(false), cryptoki.AttrPrivate: encode(class != cryptoki.ClassPublicKey),
		cryptoki.AttrSensitive: encode(class != cryptoki.ClassPublicKey), cryptoki.AttrExtractable: encode(false),
		cryptoki.AttrModifiable: encode(true), cryptoki.AttrID: {}, cryptoki.AttrLabel: {},
		cryptoki.AttrEncrypt: encode(false), cryptoki.AttrDecrypt: encode(false), cryptoki.AttrSign: encode(false),
		cryptoki.AttrVerify: encode(false), cryptoki.AttrWrap: encode(false), cryptoki.AttrUnwrap: encode(false),
		cryptoki.AttrDerive: encode(false),
	}}
	for _, a := range append(slices.Clone(t), d.config.Forced...) {
		if slices.Contains(d.config.RefusedInKeys, a.Type) {
			return nil, cryptoki.ErrAttributeTypeInvalid
		}
		value := encode(a.Value)
		if value == nil {
			return nil, cryptoki.ErrAttributeValueInvalid
		}
		o.attributes[a.Type] = value
	}
	if o.conflicts(cryptoki.AttrClass, class) || o.conflicts(cryptoki.AttrKeyType, kind) {
		return nil, cryptoki.ErrTemplateInconsistent
	}
	o.attributes[cryptoki.AttrClass], o.attributes[cryptoki.AttrKeyType] = encode(class), encode(kind)
	return o, nil
}

func (o *object) conflicts(t cryptoki.AttributeType, want uint) bool {
	_, given := o.attributes[t]
	return given && o.number(t) != want
}

func (d *Device) generate(m cryptoki.Mechanism, templates []cryptoki.Template) ([]*object, error) {
	switch m.Type {
	case cryptoki.AESKeyGen:
		return d.generateSecret(cryptoki.KeyAES, templates)
	case cryptoki.GenericSecretGen:
		return d.generateSecret(cryptoki.KeyGenericSecret, templates)
	case cryptoki.RSAPKCSKeyPairGen:
		return d.generateRSA(templates)
	case cryptoki.ECKeyPairGen:
		return generateCurve(d, cryptoki.KeyEC, templates)
	case cryptoki.ECEdwardsKeyPairGen:
		return generateCurve(d, cryptoki.KeyECEdwards, templates)
	}
	return nil, cryptoki.ErrMechanismInvalid
}

func (d *Device) generateSecret(kind uint, templates []cryptoki.Template) ([]*object, error) {
	if len(templates) != 1 {
		return nil, cryptoki.ErrArgumentsBad
	}
	o, err := d.newObject(cryptoki.ClassSecretKey, kind, templates[0])
	if err != nil {
		return nil, err
	}
	size := o.number(cryptoki.AttrValueLen)
	switch {
	case size == 0:
		return nil, cryptoki.ErrTemplateIncomplete
	case size > 512 || kind == cryptoki.KeyAES && size != 16 && size != 24 && size != 32:
		return nil, cryptoki.ErrKeySizeRange
	}
	o.secret = d.random(int(size))
	return []*object{o}, nil
}

func (d *Device) generateRSA(templates []cryptoki.Template) ([]*object, error) {
	if len(templates) != 2 {
		return nil, cryptoki.ErrArgumentsBad
	}
	public, err := d.newObject(cryptoki.ClassPublicKey, cryptoki.KeyRSA, templates[0])
	if err != nil {
		return nil, err
	}
	private, err := d.newObject(cryptoki.ClassPrivateKey, cryptoki.KeyRSA, templates[1])
	if err != nil {
		return nil, err
	}
	bits := public.number(cryptoki.AttrModulusBits)
	if bits < 1024 || bits > 4096 {
		return nil, cryptoki.ErrKeySizeRange
	}
	key, err := rsa.GenerateKey(rand.Reader, int(bits))
	if err != nil {
		return nil, cryptoki.ErrFunctionFailed
	}
	public.public, private.private, private.signer = &key.PublicKey, key, key
	for _, o := range []*object{public, private} {
		o.attributes[cryptoki.AttrModulus] = key.N.Bytes()
		o.attributes[cryptoki.AttrPublicExponent] = big.NewInt(int64(key.E)).Bytes()
	}
	return []*object{public, private}, nil
}

func (d *Device) random(n int) []byte {
	out := make([]byte, n)
	if d.config.Random != nil {
		d.config.Random(out)
		return out
	}
	_, _ = rand.Read(out) // never fails
	return out
}

// handle returns the handle of an object, and gives it one if it has none.
func (s *slot) handle(o *object) cryptoki.Object {
	for handle, known := range s.handles {
		if known == o {
			return handle
		}
	}
	if s.handles == nil {
		s.handles = map[cryptoki.Object]*object{}
	}
	s.next++
	handle := s.next
	if s.device.config.ReuseHandles {
		handle = s.reused(o)
	}
	s.handles[handle] = o
	return handle
}

// reused numbers the objects from 1, and begins with another of them each turn.
func (s *slot) reused(o *object) cryptoki.Object {
	s.device.mu.Lock()
	defer s.device.mu.Unlock()
	n := len(s.device.objects)
	return cryptoki.Object(1 + (slices.Index(s.device.objects, o)+s.turn)%max(n, 1))
}
