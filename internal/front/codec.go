// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package front

import (
	"encoding/binary"
	"errors"
	"io"
	"unicode/utf8"
	"unsafe"

	"github.com/hashicorp/vault/sdk/plugin/pb"
	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// codec is gRPC's, but for large requests and answers: the Data of a request is copied once, that of an answer not at all, and that of an
// existence check is left out, as nothing reads it: a name is in the path.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(grpcproto.Name)} }

// large is how many bytes a message has at least that is worth the trouble.
const large = 4 << 10

// The numbers of fields in the SDK's backend.proto.
const (
	requestInArgs   protowire.Number = 2 // of HandleRequestArgs and HandleExistenceCheckArgs
	dataInRequest   protowire.Number = 5
	responseInReply protowire.Number = 1
	dataInResponse  protowire.Number = 3
)

// Unmarshal is for [encoding.CodecV2].
func (c codec) Unmarshal(message mem.BufferSlice, into any) error {
	if message.Len() < large {
		return c.CodecV2.Unmarshal(message, into)
	}
	switch args := into.(type) {
	case *pb.HandleRequestArgs:
		return c.unmarshal(message, args, args.GetRequest, true)
	case *pb.HandleExistenceCheckArgs:
		return c.unmarshal(message, args, args.GetRequest, false)
	default:
		return c.CodecV2.Unmarshal(message, into)
	}
}

// unmarshal decodes the arguments of a call. The Data of their request is an empty object where it is not wanted.
func (c codec) unmarshal(message mem.BufferSlice, into proto.Message, request func() *pb.Request, wanted bool) error {
	r := reader{message.Reader()}
	defer r.Close() //nolint:errcheck // it never fails
	without, data, err := r.arguments(wanted)
	if err != nil {
		return c.CodecV2.Unmarshal(message, into) // which knows messages of other shapes, and says what is wrong
	}
	if err := proto.Unmarshal(without, into); err != nil {
		return err
	}
	if !wanted {
		data = "{}"
	}
	request().Data = data
	return nil
}

// Marshal is for [encoding.CodecV2]. Where a message has a field twice, a reader merges both: so the Data comes after all else, in
// a Response of its own.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	reply, ok := v.(*pb.HandleRequestReply)
	if !ok || len(reply.GetResponse().GetData()) < large {
		return c.CodecV2.Marshal(v)
	}
	data := reply.Response.Data
	if !utf8.ValidString(data) {
		return c.CodecV2.Marshal(v)
	}
	reply.Response.Data = ""
	head, err := proto.Marshal(reply)
	reply.Response.Data = data
	if err != nil {
		return nil, err
	}
	inner := protowire.AppendVarint(protowire.AppendTag(nil, dataInResponse, protowire.BytesType), uint64(len(data)))
	head = protowire.AppendVarint(protowire.AppendTag(head, responseInReply, protowire.BytesType), uint64(len(inner)+len(data)))
	text := unsafe.Slice(unsafe.StringData(data), len(data)) //nolint:gosec // gRPC does not write to what it sends
	return mem.BufferSlice{mem.SliceBuffer(append(head, inner...)), mem.SliceBuffer(text)}, nil
}

// reader reads a message that lies in pieces.
type reader struct{ *mem.Reader }

var errOtherMessage = errors.New("not the message of a request alone")

// arguments reads the arguments of a call, and returns them without the Data of the request, as a message, and the Data.
func (r reader) arguments(wanted bool) (without []byte, data string, err error) {
	number, kind, err := r.tag()
	if err != nil || number != requestInArgs || kind != protowire.BytesType {
		return nil, "", errOtherMessage
	}
	if size, err := binary.ReadUvarint(r); err != nil || size != uint64(r.Remaining()) { //nolint:gosec // never negative
		return nil, "", errOtherMessage
	}
	request := make([]byte, 0, 512)
	for r.Remaining() > 0 {
		if request, err = r.field(request, wanted, &data); err != nil {
			return nil, "", err
		}
	}
	without = protowire.AppendTag(make([]byte, 0, len(request)+8), requestInArgs, protowire.BytesType)
	return protowire.AppendBytes(without, request), data, nil
}

// field reads a field of a request, and appends it to a message, or else its value is data.
func (r reader) field(to []byte, wanted bool, data *string) ([]byte, error) {
	number, kind, err := r.tag()
	if err != nil {
		return nil, err
	}
	value, err := binary.ReadUvarint(r)
	switch {
	case err != nil || (kind != protowire.VarintType && kind != protowire.BytesType):
		return nil, errOtherMessage
	case kind == protowire.VarintType:
		return protowire.AppendVarint(protowire.AppendTag(to, number, kind), value), nil
	case value > uint64(r.Remaining()): //nolint:gosec // never negative
		return nil, errOtherMessage
	case number == dataInRequest && !wanted:
		_, err = r.Discard(int(value)) //nolint:gosec // no more than there is
		return to, err
	}
	bytes := make([]byte, value)
	if _, err := io.ReadFull(r, bytes); err != nil {
		return nil, err
	}
	if number != dataInRequest {
		return protowire.AppendBytes(protowire.AppendTag(to, number, kind), bytes), nil
	}
	if !utf8.Valid(bytes) {
		return nil, errOtherMessage
	}
	*data = unsafe.String(unsafe.SliceData(bytes), len(bytes)) //nolint:gosec // nobody else has the bytes
	return to, nil
}

func (r reader) tag() (protowire.Number, protowire.Type, error) {
	tag, err := binary.ReadUvarint(r)
	if err != nil {
		return 0, 0, err
	}
	number, kind := protowire.DecodeTag(tag)
	return number, kind, nil
}
