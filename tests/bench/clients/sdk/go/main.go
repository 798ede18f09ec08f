// A plugin that counts, in Go: plugin sdk|generated ADDR DELIVERIES
//
// With `sdk` it is a handler of the SDK; with `generated` it is the code that grpc-go's generator makes, with an ack for each batch.
// What it says on stdout are the words of `hookwire bench-plugin`; it leaves when its stdin ends.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	hookwire "github.com/hookwire/hookwire/sdk/go"
	hookwirev1 "github.com/hookwire/hookwire/sdk/go/v1"
)

// step is how many deliveries lie between two words of how far it is: they are the gateway's credit.
const step = 1024

// tally is how far it is.
type tally struct {
	wanted       int64
	taken, bytes atomic.Int64
}

// take is what a plugin does with an event, at the least: look at it.
func (t *tally) take(hook string) {
	t.bytes.Add(int64(len(hook)))
	taken := t.taken.Add(1)
	if taken%step == 0 || taken == t.wanted {
		fmt.Printf(`{"type":"acked","count":%d,"lost":0}`+"\n", taken)
	}
	if taken == t.wanted {
		fmt.Printf(`{"type":"measured","at_unix_nano":%d,"latency":[]}`+"\n", time.Now().UnixNano())
	}
}

func ready() {
	fmt.Println(`{"type":"ready"}`)
}

func subscribe(address string, tally *tally) error {
	plugin := hookwire.New("go", hookwire.WithAddress(address))
	plugin.On("*", func(_ context.Context, event *hookwire.Event) error {
		tally.take(event.Hook)
		return nil
	})
	plugin.OnSweep(func(context.Context, *hookwire.Sweep) error {
		ready()
		return nil
	})
	return plugin.Run(context.Background())
}

func generated(address string, tally *tally) error {
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	stream, err := hookwirev1.NewHookServiceClient(connection).Subscribe(context.Background())
	if err != nil {
		return err
	}
	hello := &hookwirev1.SubscribeRequest_Hello{SubscriberId: "go", InstanceId: strconv.Itoa(os.Getpid())}
	if err := stream.Send(&hookwirev1.SubscribeRequest{Message: &hookwirev1.SubscribeRequest_Hello_{Hello: hello}}); err != nil {
		return err
	}
	for {
		response, err := stream.Recv()
		if err != nil {
			return err
		}
		if response.GetCaughtUp() != nil {
			ready()
		}
		batch := response.GetEvents()
		if batch == nil {
			continue
		}
		for _, event := range batch.GetEvents() {
			tally.take(event.GetHook())
		}
		ack := &hookwirev1.Ack{ThroughSeq: batch.GetFirstSeq() + uint64(len(batch.GetEvents())) - 1}
		if err := stream.Send(&hookwirev1.SubscribeRequest{Message: &hookwirev1.SubscribeRequest_Ack{Ack: ack}}); err != nil {
			return err
		}
	}
}

func main() {
	form, address := os.Args[1], os.Args[2]
	wanted, err := strconv.ParseInt(os.Args[3], 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // it ends, however
		os.Exit(0)                           // the stream is still open
	}()
	run := map[string]func(string, *tally) error{"sdk": subscribe, "generated": generated}[form]
	log.Fatal(run(address, &tally{wanted: wanted}))
}
