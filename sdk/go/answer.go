package hookwire

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	hookwirev1 "github.com/hookwire/hookwire/sdk/go/v1"
)

// Status is what became of a delivery. The numbers are those of the wire.
type Status int32

const (
	// StatusOK says: done, and it survives a crash of this process.
	StatusOK = Status(hookwirev1.AckStatus_ACK_STATUS_OK)
	// StatusAccepted says: persisted, so that it survives a crash; the work itself is done later.
	StatusAccepted = Status(hookwirev1.AckStatus_ACK_STATUS_ACCEPTED)
	// StatusRetry says: not now, deliver it again.
	StatusRetry = Status(hookwirev1.AckStatus_ACK_STATUS_RETRY)
	// StatusReject says: never again.
	StatusReject = Status(hookwirev1.AckStatus_ACK_STATUS_REJECT)
)

// String returns the status as the contract spells it: "OK", "ACCEPTED", "RETRY" or "REJECT".
func (s Status) String() string {
	return wireName(hookwirev1.AckStatus(s).String(), "ACK_STATUS_")
}

// wireName takes from an enum's value the prefix that protobuf wants.
func wireName(value, prefix string) string {
	return strings.TrimPrefix(value, prefix)
}

// Answer is what the dispatcher is told about one delivery. Handlers return an error instead: nil, [Accepted], [Retry] or
// [Reject]; an Answer is what a [Store] keeps and what a test sees.
type Answer struct {
	Status Status
	// Code is a short word for machines, of a REJECT.
	Code string
	// Text is for a person to read, of a RETRY or a REJECT.
	Text string
	// RetryAfter is how long a RETRY waits at least, on the wire in whole milliseconds. 0 leaves it to the dispatcher.
	RetryAfter time.Duration
}

// Accepted is what a handler returns when it has persisted the event, so that it survives a crash, and finishes the work
// later. It counts wherever it stands in a chain of wrapped errors.
var Accepted error = accepted{}

type accepted struct{}

func (accepted) Error() string { return "hookwire: accepted" }

// RetryError is the answer RETRY as an error: see [Retry].
type RetryError struct {
	// After is how long the dispatcher waits at least.
	After time.Duration
	// Text is for a person to read.
	Text string
}

// Error implements error.
func (e *RetryError) Error() string {
	return fmt.Sprintf("hookwire: retry after %v: %s", e.After, e.Text)
}

// Retry returns an error that has the event delivered again, not before after, which is rounded up to whole milliseconds,
// at least one. It counts wherever it stands in a chain of wrapped errors. Only a session_start or a session_end is delivered
// again: on any other event the dispatcher reads RETRY as REJECT.
func Retry(after time.Duration, text string) error {
	return &RetryError{After: max(after, time.Millisecond), Text: text}
}

// RejectError is the answer REJECT as an error: see [Reject].
type RejectError struct {
	// Code is a short word for machines.
	Code string
	// Text is for a person to read.
	Text string
}

// Error implements error.
func (e *RejectError) Error() string {
	return fmt.Sprintf("hookwire: reject: %s: %s", e.Code, e.Text)
}

// Reject returns an error that says: never deliver it again. Of a session_start it says besides that no end is wanted. It counts
// wherever it stands in a chain of wrapped errors. Code and text are cut to 256 bytes each.
func Reject(code, text string) error {
	return &RejectError{Code: code, Text: text}
}

// codeException is the code of a REJECT that no handler has chosen.
const codeException = "exception"

// answerOf reads a handler's return. An error of its own has a start or an end come again; nothing else does, so
// another event is rejected.
func answerOf(err error, lifecycle bool) Answer {
	if err == nil {
		return Answer{Status: StatusOK}
	}
	var (
		reject *RejectError
		retry  *RetryError
	)
	switch {
	case errors.Is(err, Accepted):
		return Answer{Status: StatusAccepted}
	case errors.As(err, &reject):
		return Answer{Status: StatusReject, Code: reject.Code, Text: reject.Text}
	case errors.As(err, &retry):
		return Answer{Status: StatusRetry, Text: retry.Text, RetryAfter: max(retry.After, time.Millisecond)}
	case lifecycle:
		return Answer{Status: StatusRetry, Text: err.Error()}
	default:
		return Answer{Status: StatusReject, Code: codeException, Text: err.Error()}
	}
}

// settles reports whether the delivery is settled by it: all but a RETRY.
func (a Answer) settles() bool { return a.Status != StatusRetry }

// exception returns the wire's form of it.
func (a Answer) exception(seq uint64) *hookwirev1.AckException {
	return &hookwirev1.AckException{
		Seq:          seq,
		Status:       hookwirev1.AckStatus(a.Status),
		RetryAfterMs: wholeMillis(a.RetryAfter),
		Code:         cut(a.Code),
		Text:         cut(a.Text),
	}
}

// wholeMillis rounds up, because 0 would leave the delay to the dispatcher.
func wholeMillis(after time.Duration) uint32 {
	millis := int64(after / time.Millisecond)
	if after%time.Millisecond > 0 {
		millis++
	}
	return uint32(min(max(millis, 0), math.MaxUint32))
}

// maxWordBytes is how long a code or a text may be: an answer is a line, not a log, and an Ack is full of them.
const maxWordBytes = 256

// cut shortens a text at a character's boundary. What is no UTF-8 could not be sent at all.
func cut(text string) string {
	if len(text) > maxWordBytes {
		end := maxWordBytes
		for end > maxWordBytes-utf8.UTFMax && !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end]
	}
	return strings.ToValidUTF8(text, "")
}
