package hookwire

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
)

// panicError is a panic of the author's code: a mistake with one input, not the end of the plugin.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// guard runs the author's code. A panic is an error like any other.
func guard(author func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &panicError{value, debug.Stack()}
		}
	}()
	return author()
}

// failure is an error as it is logged: a panic says where.
func failure(err error) slog.Attr {
	var panicked *panicError
	if errors.As(err, &panicked) {
		return slog.Group("error", "panic", panicked.value, "stack", string(panicked.stack))
	}
	return slog.Any("error", err)
}
