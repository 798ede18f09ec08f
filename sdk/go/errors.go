package hookwire

import (
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	hookwirev1 "github.com/hookwire/hookwire/sdk/go/v1"
)

// DisplacedError is why [Plugin.Run] ends when another process runs under this plugin's name now. Coming back would displace
// it in turn.
type DisplacedError struct {
	// Text is the dispatcher's own words, often empty.
	Text string
}

// Error implements error.
func (e *DisplacedError) Error() string {
	if e.Text == "" {
		return "hookwire: displaced by another process of the same name"
	}
	return "hookwire: displaced by another process of the same name: " + e.Text
}

// RefusedError is why [Plugin.Run] ends when the dispatcher does not want this plugin as it is: asking again with the same words
// would only be refused again.
type RefusedError struct {
	// Code is the gRPC status.
	Code codes.Code
	// Text is the dispatcher's own words.
	Text string
}

// Error implements error.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("hookwire: refused by the dispatcher: %v: %s", e.Code, e.Text)
}

// lostError is why a stream is over when another may be dialled.
type lostError struct {
	why string
	// wait is how long the dispatcher asked to stay away.
	wait time.Duration
}

func (e *lostError) Error() string { return e.why }

func lost(format string, args ...any) error {
	return &lostError{why: fmt.Sprintf(format, args...)}
}

// endByError reads how a stream was ended by its transport.
func endByError(err error) error {
	if errors.Is(err, io.EOF) {
		return lost("closed without a goodbye")
	}
	said := status.Convert(err)
	switch {
	case said.Code() == codes.AlreadyExists:
		return &DisplacedError{Text: said.Message()}
	case isRefusal(said.Code()):
		return &RefusedError{Code: said.Code(), Text: said.Message()}
	default:
		return lost("%v: %s", said.Code(), said.Message())
	}
}

// endByGoodbye reads how a stream was ended by the dispatcher.
func endByGoodbye(goodbye *hookwirev1.SubscribeResponse_Goodbye) error {
	reason := goodbye.GetReason()
	if reason == hookwirev1.GoodbyeReason_GOODBYE_REASON_DISPLACED {
		return &DisplacedError{Text: goodbye.GetText()}
	}
	return &lostError{
		why:  fmt.Sprintf("goodbye: %s %s", wireName(reason.String(), "GOODBYE_REASON_"), goodbye.GetText()),
		wait: time.Duration(goodbye.GetReconnectAfterMs()) * time.Millisecond,
	}
}

// isRefusal reports whether a dispatcher understood, and said no. Any other status is one of a transport, or of a
// dispatcher that is not there now.
func isRefusal(code codes.Code) bool {
	switch code {
	case codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.PermissionDenied, codes.FailedPrecondition,
		codes.OutOfRange, // larger than a message may be
		codes.Unimplemented, codes.Unauthenticated:
		return true
	default:
		return false
	}
}
