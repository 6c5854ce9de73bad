// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package front_test

import (
	"strings"
	"testing"
	"unsafe"

	"github.com/hashicorp/vault/sdk/plugin/pb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/keylife/vault-plugin-keylife/internal/front"
)

var stock = encoding.GetCodecV2(grpcproto.Name)

// inPieces is a message as it comes from the network.
func inPieces(message []byte, size int) (pieces mem.BufferSlice) {
	for ; len(message) > size; message = message[size:] {
		pieces = append(pieces, mem.SliceBuffer(message[:size]))
	}
	return append(pieces, mem.SliceBuffer(message))
}

func encoded(t testing.TB, m proto.Message) []byte {
	t.Helper()
	message, err := proto.Marshal(m)
	require.NoError(t, err)
	return message
}

func request(data string) *pb.Request {
	return &pb.Request{
		ID: "id", Operation: "update", Path: "encrypt/k", Data: data, EntityID: "entity", Connection: &pb.Connection{RemoteAddr: "::1", RemotePort: 7},
		Headers: map[string]*pb.Header{"A": {Header: []string{"b"}}}, PolicyOverride: true, ClientTokenRemainingUses: -1,
	}
}

func TestALargeRequestIsWhatGRPCDecodes(t *testing.T) {
	for _, size := range []int{0, 100, 4 << 10, 1 << 20} {
		for _, piece := range []int{17, 16 << 10, 2 << 20} {
			data := strings.Repeat("ä", size/2)
			got := &pb.HandleRequestArgs{}
			require.NoError(t, front.NewCodec().Unmarshal(inPieces(encoded(t, &pb.HandleRequestArgs{Request: request(data)}), piece), got))
			require.True(t, proto.Equal(&pb.HandleRequestArgs{Request: request(data)}, got), "%d bytes, %d in a piece", size, piece)
		}
	}
}

func TestAnExistenceCheckHasNoLargeData(t *testing.T) {
	got := &pb.HandleExistenceCheckArgs{}
	message := encoded(t, &pb.HandleExistenceCheckArgs{Request: request(strings.Repeat("a", 1<<20))})
	require.NoError(t, front.NewCodec().Unmarshal(inPieces(message, 16<<10), got))
	require.True(t, proto.Equal(&pb.HandleExistenceCheckArgs{Request: request("{}")}, got))
	_, err := pb.ProtoRequestToLogicalRequest(got.Request)
	require.NoError(t, err, "paths that are not answered directly are the SDK's")
}

func TestOtherMessagesAreGRPCs(t *testing.T) {
	long := strings.Repeat("a", 8<<10)
	stored, got := &pb.HandleRequestArgs{StorageID: 7, Request: request(long)}, &pb.HandleRequestArgs{}
	require.NoError(t, front.NewCodec().Unmarshal(inPieces(encoded(t, stored), 1<<10), got))
	require.True(t, proto.Equal(stored, got), "there is more than a request in it")

	setup := &pb.SetupArgs{BrokerID: 7, BackendUUID: long}
	buffers, err := front.NewCodec().Marshal(setup)
	require.NoError(t, err)
	again := &pb.SetupArgs{}
	require.NoError(t, front.NewCodec().Unmarshal(buffers, again))
	require.True(t, proto.Equal(setup, again))

	_, err = front.NewCodec().Marshal(&pb.HandleRequestReply{Response: &pb.Response{Data: long + "\xff"}})
	require.Error(t, err, "a text of protobuf is UTF-8")
	require.Error(t, front.NewCodec().Unmarshal(inPieces([]byte(long), 1<<10), &pb.HandleRequestArgs{}))
}

func TestALargeAnswerIsNotCopied(t *testing.T) {
	reply := &pb.HandleRequestReply{
		Response: &pb.Response{Data: strings.Repeat("a", 1<<20), Warnings: []string{"look"}},
		Err:      &pb.ProtoError{ErrMsg: "no"}, WalIndex: &pb.WALIndex{LocalIndex: 7},
	}
	buffers, err := front.NewCodec().Marshal(reply)
	require.NoError(t, err)
	got := &pb.HandleRequestReply{}
	require.NoError(t, stock.Unmarshal(buffers, got))
	require.True(t, proto.Equal(reply, got))
	last := buffers[len(buffers)-1].ReadOnlyData()
	require.Same(t, unsafe.StringData(reply.Response.Data), &last[0])
}

// FuzzCodec holds what is decoded to what gRPC decodes; an existence check has no Data.
func FuzzCodec(f *testing.F) {
	f.Add([]byte{}, "", 5)
	f.Add([]byte{0x2a, 1, 'x'}, "text", 4096)
	f.Add([]byte{0x2a, 0xff, 0xff, 0x7f, 'x'}, "\xff", 1)
	f.Add([]byte{0x0d, 1, 2, 3, 4}, "fixed", 100)
	f.Fuzz(func(t *testing.T, rest []byte, text string, piece int) {
		args := &pb.HandleRequestArgs{Request: request(strings.Repeat("a", 4<<10) + strings.ToValidUTF8(text, ""))}
		for _, message := range [][]byte{append(encoded(t, args), rest...), append(rest, encoded(t, args)...), encodedWith(t, args.Request, rest)} {
			pieces := inPieces(message, max(1, min(piece, len(message))))
			want, got, check := &pb.HandleRequestArgs{}, &pb.HandleRequestArgs{}, &pb.HandleExistenceCheckArgs{}
			wrong := stock.Unmarshal(pieces, want)
			require.Equal(t, wrong == nil, front.NewCodec().Unmarshal(pieces, got) == nil)
			require.Equal(t, wrong == nil, front.NewCodec().Unmarshal(pieces, check) == nil)
			if wrong != nil {
				continue
			}
			require.True(t, proto.Equal(want, got))
			if want.Request != nil && check.Request.Data == "{}" {
				want.Request.Data = "{}"
			}
			require.True(t, proto.Equal(want.Request, check.Request))
		}
	})
}

// encodedWith returns a message of a request that ends with these bytes.
func encodedWith(t testing.TB, r *pb.Request, rest []byte) []byte {
	t.Helper()
	return protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), append(encoded(t, r), rest...))
}
