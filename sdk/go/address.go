package hookwire

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/hookwire/hookwire/sdk/go/internal/transport"
	hookwirev1 "github.com/hookwire/hookwire/sdk/go/v1"
)

const (
	// AddressVariable is the environment variable that names the dispatcher's address.
	AddressVariable = "HOOKWIRE_ADDR"
	// DefaultAddress is where a dispatcher listens when nobody says otherwise.
	DefaultAddress = "127.0.0.1:7400"
)

// maxMessageBytes is the largest message that is taken in: gRPC stops at 4 MiB by itself, and an operator may have
// raised what a dispatcher sends.
const maxMessageBytes = 64 << 20

// keepaliveInterval is after how much silence the dispatcher is pinged, and how long it has for its answer.
const keepaliveInterval = 10 * time.Second

// address is where a dispatcher listens: "host:port", or "unix:/path".
type address string

// parseAddress reads an address; an empty one is the environment's, else the default.
func parseAddress(text string) (address, error) {
	if text != "" {
		return checkAddress(text)
	}
	text, found := os.LookupEnv(AddressVariable)
	if !found || text == "" {
		return DefaultAddress, nil
	}
	address, err := checkAddress(text)
	if err != nil {
		return "", fmt.Errorf("%s: %w", AddressVariable, err)
	}
	return address, nil
}

func checkAddress(text string) (address, error) {
	if path, unix := strings.CutPrefix(text, "unix:"); unix {
		if path != "" {
			return address(text), nil
		}
	} else if host, port, err := net.SplitHostPort(text); err == nil && host != "" && !strings.Contains(host, "/") {
		if _, err := strconv.ParseUint(port, 10, 16); err == nil {
			return address(text), nil
		}
	}
	return "", fmt.Errorf("%q is no address: write host:port, [v6]:port or unix:/path", text)
}

// target is the address as gRPC reads it.
func (a address) target() string {
	if strings.HasPrefix(string(a), "unix:") {
		return string(a)
	}
	return "dns:///" + string(a)
}

// dial implements [transport.Dial]. Each stream has a connection of its own, so that a new one is never led over what is
// left of the old.
func (a address) dial(ctx context.Context) (transport.Stream, error) {
	connection, err := grpc.NewClient(a.target(), dialOptions(a)...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	call, err := hookwirev1.NewHookServiceClient(connection).Subscribe(ctx)
	if err != nil {
		cancel()
		_ = connection.Close()
		return nil, err
	}
	return &grpcStream{HookService_SubscribeClient: call, connection: connection, cancel: cancel}, nil
}

func dialOptions(a address) []grpc.DialOption {
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessageBytes)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time:                keepaliveInterval,
			Timeout:             keepaliveInterval,
			PermitWithoutStream: true,
		}),
		grpc.WithInitialWindowSize(1 << 20),
		grpc.WithInitialConnWindowSize(4 << 20),
		// A dispatcher is beside its plugins, and who comes back when is decided in one place: see backoff.
		grpc.WithNoProxy(),
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig(),
	}
	if strings.HasPrefix(string(a), "unix:") {
		// A path is no :authority.
		options = append(options, grpc.WithAuthority("localhost"))
	}
	return options
}

// grpcStream is a Subscribe call and the connection that it has to itself.
type grpcStream struct {
	hookwirev1.HookService_SubscribeClient
	connection *grpc.ClientConn
	cancel     context.CancelFunc
}

// Close implements [transport.Stream].
func (s *grpcStream) Close() {
	s.cancel()
	_ = s.connection.Close() // it says only whether it was closed before
}
