package hookwire

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/hookwire/hookwire/sdk/go/internal/transport"
	hookwirev1 "github.com/hookwire/hookwire/sdk/go/v1"
)

func TestItSaysWhatItWants(t *testing.T) {
	alone(t, func(t *testing.T) {
		plugin := New("name", WithAnnounce(), WithAgents("main"), WithKeys("agent:*"), WithMaxInFlight(7),
			WithInstanceID("me"), WithWhenFull(Disconnect),
			WithRetention(Retention{Kind: RetainAll, MaxAge: time.Minute, MaxBytes: 99}))
		plugin.On("session_*", newAuthor().handle)
		plugin.On("gateway_stop", newAuthor().handle)
		_, hello := run(t, plugin).accept()
		want := &hookwirev1.SubscribeRequest_Hello{
			SubscriberId: "name",
			InstanceId:   "me",
			Hooks:        []string{"session_*", "gateway_stop"},
			Filter:       &hookwirev1.Filter{Agents: []string{"main"}, Keys: []string{"agent:*"}},
			Announce:     true,
			MaxInFlight:  7,
			Retention: &hookwirev1.Retention{
				Kind: hookwirev1.RetentionKind_RETENTION_KIND_ALL, MaxAgeMs: 60_000, MaxBytes: 99,
			},
			WhenFull:      hookwirev1.WhenFull_WHEN_FULL_DISCONNECT,
			ClientName:    clientName,
			ClientVersion: clientVersion,
		}
		if !proto.Equal(hello, want) {
			t.Errorf("got  %v\nwant %v", hello, want)
		}
	})
}

func TestItComesBackAsItselfAndNotBeforeItMay(t *testing.T) {
	alone(t, func(t *testing.T) {
		peer := run(t, newAuthor().plugin())
		link, hello := peer.accept()
		link.End(nil)
		link, again := peer.accept()
		if !proto.Equal(hello, again) || hello.GetInstanceId() == "" {
			t.Errorf("came back as another: %v, %v", hello, again)
		}
		asked := time.Now()
		link.goodbye(hookwirev1.GoodbyeReason_GOODBYE_REASON_STOPPING, 20_000)
		peer.accept()
		if away := time.Since(asked); away < 20*time.Second || away > 21*time.Second {
			t.Errorf("came back after %v", away)
		}
	})
}

func TestWhatDoesNotEndThePlugin(t *testing.T) {
	alone(t, func(t *testing.T) {
		author := newAuthor()
		link := run(t, author.plugin()).welcome()
		link.Say(&hookwirev1.SubscribeResponse{})
		link.Say(&hookwirev1.SubscribeResponse{Message: &hookwirev1.SubscribeResponse_Welcome_{}})
		link.Say(&hookwirev1.SubscribeResponse{Message: &hookwirev1.SubscribeResponse_Gap{
			Gap: &hookwirev1.Gap{Cause: 99, Count: 1},
		}})
		link.Say(&hookwirev1.SubscribeResponse{Message: &hookwirev1.SubscribeResponse_DrainSummary{}})
		unknown := end("s", 1)
		unknown.GetSessionEnd().Reason = 99
		link.deliver(1, Kind(99), wireEvent("x", "no_such_hook", "", 0), unknown)
		link.live(3)
		wantAnswers(t, link.answers(2), map[uint64]Status{1: StatusOK, 2: StatusOK})
		author.wantBegun(t, "end-1", "x")
	})
}

func TestNumbersThatJumpEndTheStream(t *testing.T) {
	alone(t, func(t *testing.T) {
		author := newAuthor()
		peer := run(t, author.plugin())
		peer.welcome().live(2, start("a", 1))
		peer.welcome()
		author.wantBegun(t)
	})
}

func TestDisplacedIsTheEnd(t *testing.T) {
	for name, end := range map[string]func(*link){
		"by goodbye": func(l *link) { l.goodbye(hookwirev1.GoodbyeReason_GOODBYE_REASON_DISPLACED, 0) },
		"by status":  func(l *link) { l.End(status.Error(codes.AlreadyExists, "so long")) },
	} {
		t.Run(name, func(t *testing.T) {
			alone(t, func(t *testing.T) {
				peer := run(t, newAuthor().plugin())
				end(peer.welcome())
				var displaced *DisplacedError
				if err := peer.end(); !errors.As(err, &displaced) || displaced.Text != "so long" {
					t.Errorf("ended with %v", err)
				}
				if len(peer.streams) != 0 {
					t.Error("came back")
				}
			})
		})
	}
}

func TestARefusalIsTheEnd(t *testing.T) {
	for _, code := range []codes.Code{codes.InvalidArgument, codes.FailedPrecondition, codes.PermissionDenied} {
		t.Run(code.String(), func(t *testing.T) {
			alone(t, func(t *testing.T) {
				peer := run(t, newAuthor().plugin())
				link, _ := peer.accept()
				link.End(status.Error(code, "no"))
				var refused *RefusedError
				if err := peer.end(); !errors.As(err, &refused) || refused.Code != code || refused.Text != "no" {
					t.Errorf("ended with %v", err)
				}
			})
		})
	}
}

func TestItFinishesWhatIsInHandAndTakesNoMore(t *testing.T) {
	alone(t, func(t *testing.T) {
		author := newAuthor()
		peer := run(t, author.plugin())
		link := peer.welcome()
		link.live(1, start("slow", 1), end("slow", 1))
		author.wantBegun(t, "start-1")
		peer.stop()
		synctest.Wait()
		link.live(3, start("b", 2))
		go author.permit(2)
		wantAnswers(t, link.answers(2), map[uint64]Status{1: StatusOK, 2: StatusOK})
		if !link.parted() {
			t.Error("no Goodbye(keep)")
		}
		if err := peer.end(); err != nil {
			t.Error(err)
		}
		author.wantBegun(t, "end-1") // what came after the stop has not begun
	})
}

func TestAHandlerThatHangsIsWaitedForSoLong(t *testing.T) {
	alone(t, func(t *testing.T) {
		author := newAuthor()
		peer := run(t, author.plugin(WithGrace(3*time.Second)))
		link := peer.welcome()
		link.live(1, start("slow", 1), start("b", 2))
		wantAnswers(t, link.answers(1), map[uint64]Status{2: StatusOK})
		began := time.Now()
		peer.stop()
		if !link.parted() { // without an answer to the first: its handler was cancelled, and is not done
			t.Error("no Goodbye(keep)")
		}
		if waited := time.Since(began); waited != 3*time.Second {
			t.Errorf("waited for %v", waited)
		}
		if err := peer.end(); err != nil {
			t.Error(err)
		}
	})
}

func TestItStopsWhileTheDispatcherIsSilent(t *testing.T) {
	for name, stage := range map[string]func(*peer){
		"before the Welcome": func(p *peer) { p.accept() },
		"at the Goodbye":     func(p *peer) { p.welcome() },
	} {
		t.Run(name, func(t *testing.T) {
			alone(t, func(t *testing.T) {
				peer := run(t, newAuthor().plugin())
				stage(peer)
				began := time.Now()
				peer.stop()
				if err := peer.end(); err != nil || time.Since(began) > partingTime {
					t.Errorf("ended with %v after %v", err, time.Since(began))
				}
			})
		})
	}
}

func TestAWelcomeThatDoesNotComeIsWaitedForSoLong(t *testing.T) {
	alone(t, func(t *testing.T) {
		peer := run(t, newAuthor().plugin())
		peer.accept()
		began := time.Now()
		peer.accept()
		if waited := time.Since(began); waited < handshakeTime || waited > handshakeTime+time.Second {
			t.Errorf("dialled again after %v", waited)
		}
	})
}

func TestItStopsWhileNobodyAnswers(t *testing.T) {
	alone(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		nobody := func(context.Context) (transport.Stream, error) { return nil, errors.New("nobody there") }
		if err := newAuthor().plugin().run(ctx, nobody); err != nil {
			t.Error(err)
		}
	})
}

func TestAnOutageIsWarnedOfOnce(t *testing.T) {
	alone(t, func(t *testing.T) {
		plugin := newAuthor().plugin()
		var said bytes.Buffer
		plugin.log = slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{
			Level: slog.LevelDebug,
			ReplaceAttr: func(_ []string, attr slog.Attr) slog.Attr {
				if attr.Key == slog.LevelKey || attr.Key == slog.MessageKey {
					return attr
				}
				return slog.Attr{}
			},
		}))
		peer := run(t, plugin)
		for range 3 {
			link, _ := peer.accept()
			link.End(status.Error(codes.Unavailable, "not yet"))
		}
		peer.welcome().End(nil)
		link, _ := peer.accept()
		link.goodbye(hookwirev1.GoodbyeReason_GOODBYE_REASON_STOPPING, 0)
		peer.welcome()
		synctest.Wait()
		const (
			warned  = `level=WARN msg="no stream: dialling again"` + "\n"
			quietly = `level=DEBUG msg="no stream: dialling again"` + "\n"
			back    = "level=INFO msg=welcome\n"
		)
		if want := warned + quietly + quietly + back + warned + quietly + back; said.String() != want {
			t.Errorf("said\n%swant\n%s", said.String(), want)
		}
	})
}

func TestWhatCannotBegin(t *testing.T) {
	if err := New("test").Run(t.Context()); !errors.Is(err, errNoHandler) {
		t.Errorf("without a handler: %v", err)
	}
	plugin := New("test", WithAddress("7400"))
	plugin.On("*", newAuthor().handle)
	if err := plugin.Run(t.Context()); err == nil {
		t.Error("without an address")
	}
}

func TestTheHandlersContext(t *testing.T) {
	alone(t, func(t *testing.T) {
		author, seen := newAuthor(), make(chan context.Context, 1)
		plugin := author.plugin()
		plugin.routes = routes{}
		plugin.On("*", func(ctx context.Context, event *Event) error {
			seen <- ctx
			return nil
		})
		peer := run(t, plugin)
		link := peer.welcome()
		traced := message("a", "m")
		traced.Traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		link.live(1, traced)
		ctx := <-seen
		if _, found := ctx.Deadline(); found || ctx.Err() != nil {
			t.Error("the budget is advice, no deadline")
		}
		if got := trace.SpanContextFromContext(ctx).TraceID().String(); got != "0af7651916cd43dd8448eb211c80319c" {
			t.Errorf("the trace is %q", got)
		}
		link.answers(1)
	})
}

func TestTimeLeft(t *testing.T) {
	alone(t, func(t *testing.T) {
		events := make(chan *Event, 1)
		plugin := New("test", WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil))))
		plugin.On("*", func(_ context.Context, event *Event) error {
			events <- event
			return nil
		})
		link := run(t, plugin).welcome()
		link.live(1, message("a", "m"))
		event := <-events
		for _, left := range []time.Duration{time.Second, 600 * time.Millisecond, 200 * time.Millisecond, 0} {
			if got := event.TimeLeft(); got != left {
				t.Errorf("%v left, want %v", got, left)
			}
			time.Sleep(400 * time.Millisecond)
		}
		link.answers(1)
	})
}

func TestADrainLeavesNoMoreTimeThanItHas(t *testing.T) {
	alone(t, func(t *testing.T) {
		author, events := newAuthor(), make(chan *Event, 2)
		author.answer = func(event *Event) error {
			events <- event
			return nil
		}
		link := run(t, author.plugin()).welcome()
		link.live(1, message("a", "before"))
		notice := drainNotice()
		notice.GetDrainNotice().BudgetMs = 300
		link.Say(notice)
		link.live(2, message("a", "within"))
		for range 2 {
			if event := <-events; !event.Draining() || event.TimeLeft() != 300*time.Millisecond {
				t.Errorf("%s: draining %v, %v left", event.ID, event.Draining(), event.TimeLeft())
			}
		}
		link.answers(2)
	})
}
