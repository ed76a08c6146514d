package queue

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"
)

// directGet asks a stream one question that has many answers: it needs no consumer, which most programs may not make. take is
// called for each message; more is how many others the server knows of beyond them, "0" for none. nats.ErrNoResponders where
// nobody answers.
func directGet(ctx context.Context, nc *nats.Conn, stream string, question any, take func(*nats.Msg) error) (more string, err error) {
	body, err := json.Marshal(question)
	if err != nil {
		return "", err
	}
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return "", err
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := nc.PublishRequest("$JS.API.DIRECT.GET."+stream, inbox, body); err != nil {
		return "", err
	}
	for {
		msg, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return "", err
		}
		switch status := msg.Header.Get("Status"); status {
		case "":
			if err := take(msg); err != nil {
				return "", err
			}
		case "204": // these were all
			return msg.Header.Get("Nats-Num-Pending"), nil
		case "404": // nothing matches
			return "0", nil
		case "503":
			return "", nats.ErrNoResponders
		default:
			return "", fmt.Errorf("answered %s %s", status, msg.Header.Get("Description"))
		}
	}
}
