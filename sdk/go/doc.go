// Package hookwire is for plugins of Hookwire.
//
// A plugin says which hooks it wants, and gets each event with its session and the time that is left for it. What its
// handler returns is the answer. Every session that it saw start, it sees end.
//
//	func main() {
//		plugin := hookwire.New("hello")
//		plugin.On("session_*", func(ctx context.Context, event *hookwire.Event) error {
//			fmt.Println(event.Hook, event.Session.ID, event.Session.Incarnation)
//			return nil
//		})
//		plugin.Main()
//	}
//
// # The way of an event
//
//	           dispatcher
//	    EventBatch │  ▲ Ack
//	┌──────────────▼──┴───────────┐  run      stream after stream, backoff between them
//	│           stream            │           Hello … Goodbye
//	├─────────────────────────────┤
//	│ work     in hand already?   ├──► the same answer, when it is there
//	│ routes   whose code is it?  │
//	│ lanes    one per session    │
//	│ store    settled before?    ├──► the same answer
//	│   your handler → error      │
//	│ acks     what to say next   │
//	└─────────────────────────────┘
//
// # Once, and at least once
//
// An event comes again when its answer got lost. What was answered is remembered in a [Store], by default in memory: the newest
// 100,000 starts and ends (all events, where they are retained). A process that crashes forgets. An effect that must
// happen once is keyed on ([Event.LedgerID], incarnation) or on [Event.ID] in your own store, in one transaction with the effect,
// as the example session_table does.
//
// Package hookwiretest drives a plugin from memory, without a dispatcher.
package hookwire
