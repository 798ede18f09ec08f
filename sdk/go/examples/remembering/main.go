package main

import (
	"context"
	"fmt"
	"log"

	hookwire "github.com/hookwire/hookwire/sdk/go"
	"github.com/hookwire/hookwire/sdk/go/examples/sqlitestore"
)

func main() {
	store, err := sqlitestore.Open("answers.db")
	if err != nil {
		log.Fatal(err)
	}
	plugin := hookwire.New("remembering", hookwire.WithStore(store))
	plugin.On("session_end", func(_ context.Context, event *hookwire.Event) error {
		fmt.Println("a mail about", event.Session.ID, event.Session.Incarnation)
		return nil
	})
	plugin.Main()
}
