package examples_test

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	hookwirev1 "github.com/hookwire/hookwire/sdk/go/v1"
)

// gateway is one of our own, on one stream.
type gateway struct {
	t      *testing.T
	stream grpc.BidiStreamingClient[hookwirev1.AttachRequest, hookwirev1.AttachResponse]
	id     string
	seq    uint64
	taken  uint64
}

// attach attaches a gateway, which goes away without a word at the end of the test.
func (d *dispatcher) attach(id string) *gateway {
	d.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	target := d.address
	if !strings.HasPrefix(target, "unix:") {
		target = "passthrough:///" + target
	}
	connection, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithAuthority("localhost"))
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() {
		cancel()
		_ = connection.Close()
	})
	stream, err := hookwirev1.NewGatewayServiceClient(connection).Attach(ctx)
	if err != nil {
		d.t.Fatal(err)
	}
	g := &gateway{t: d.t, stream: stream, id: id}
	g.send(&hookwirev1.AttachRequest{Message: &hookwirev1.AttachRequest_Hello_{Hello: &hookwirev1.AttachRequest_Hello{
		GatewayId: id, BootId: id + "-boot", EmitterId: id + "-emitter",
	}}})
	welcome := g.receive().GetWelcome()
	if welcome == nil {
		d.t.Fatal("no Welcome")
	}
	g.seq, g.taken = welcome.GetResumeAfter(), welcome.GetResumeAfter()
	return g
}

func (g *gateway) send(request *hookwirev1.AttachRequest) {
	g.t.Helper()
	if err := g.stream.Send(request); err != nil {
		g.t.Fatal(err)
	}
}

func (g *gateway) receive() *hookwirev1.AttachResponse {
	g.t.Helper()
	response, err := g.stream.Recv()
	if err != nil {
		g.t.Fatal(err)
	}
	return response
}

// publish sends events, and waits until they are taken in.
func (g *gateway) publish(events ...*hookwirev1.GatewayEvent) {
	g.t.Helper()
	g.send(&hookwirev1.AttachRequest{Message: &hookwirev1.AttachRequest_Publish{
		Publish: &hookwirev1.Publish{FirstPublishSeq: g.seq + 1, Events: events},
	}})
	g.seq += uint64(len(events))
	for g.taken < g.seq {
		receipt := g.receive().GetReceipt()
		if refused := receipt.GetRefused(); len(refused) > 0 {
			g.t.Fatalf("refused: %v", refused)
		}
		g.taken = max(g.taken, receipt.GetThroughPublishSeq())
	}
}

func start(session string) *hookwirev1.GatewayEvent {
	return &hookwirev1.GatewayEvent{Hook: "session_start", Session: &hookwirev1.SessionRef{Id: &session, Key: "key:" + session, AgentId: "main"}}
}

func message(session string) *hookwirev1.GatewayEvent {
	return &hookwirev1.GatewayEvent{
		Hook:    "message_received",
		Session: &hookwirev1.SessionRef{Id: &session},
		Payload: &hookwirev1.GatewayEvent_Json{Json: []byte(`{"text":"hello"}`)},
	}
}

func end(session string, reason hookwirev1.SessionEndReason) *hookwirev1.GatewayEvent {
	return &hookwirev1.GatewayEvent{
		Hook:    "session_end",
		Session: &hookwirev1.SessionRef{Id: &session},
		Payload: &hookwirev1.GatewayEvent_SessionEnd{SessionEnd: &hookwirev1.SessionEnd{Reason: reason}},
	}
}

const (
	reset   = hookwirev1.SessionEndReason_SESSION_END_REASON_RESET
	deleted = hookwirev1.SessionEndReason_SESSION_END_REASON_DELETED
)
