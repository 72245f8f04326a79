// Publishes an order at QoS 3: stored once for its key, however often and by whomever it is
// sent, never dropped, and a receipt tells what became of it.   publisher orders/1 9.90
package main

import (
	"context"
	"fmt"
	"log"
	"net/url"
	"os"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
)

var topic, amount = os.Args[1], os.Args[2]

// After a lost connection it is published again: a copy with the same key is not stored.
func connected(client *autopaho.ConnectionManager, _ *paho.Connack) {
	receipts := &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{
		{Topic: "receipts/orders", QoS: 1}}}
	order := &paho.Publish{Topic: topic, QoS: 2, Payload: []byte(amount),
		Properties: &paho.PublishProperties{}}
	order.Properties.User.Add("sqmqos-key", topic)
	order.Properties.User.Add("sqmqos-receipt", "receipts/orders")

	if _, err := client.Subscribe(context.Background(), receipts); err != nil {
		log.Print(err)
		return
	}
	answer, err := client.Publish(context.Background(), order)
	if answer != nil && answer.ReasonCode >= 0x80 {
		// A refusal has a code, and a text that names the rule, the queue or the limit.
		log.Fatalf("%s: refused: 0x%02x %s", topic, answer.ReasonCode, answer.Properties.ReasonString)
	} else if err != nil {
		log.Print(err)
	} else {
		fmt.Printf("%s: stored\n", topic)
	}
}

func main() {
	log.SetFlags(0)
	outcome := make(chan string, 1)
	sidecar, _ := url.Parse("mqtt://localhost:1883")
	config := autopaho.ClientConfig{
		BrokerUrls:        []*url.URL{sidecar},
		KeepAlive:         30,
		ConnectRetryDelay: time.Second,
		OnConnectionUp:    connected,
		ClientConfig: paho.ClientConfig{
			ClientID: "shop",
			Router: paho.NewSingleHandlerRouter(func(m *paho.Publish) {
				if m.Properties.User.Get("sqmqos-key") == topic { // not of an earlier order
					outcome <- m.Properties.User.Get("sqmqos-outcome")
				}
			}),
		},
	}
	config.SetConnectPacketConfigurator(func(c *paho.Connect) *paho.Connect {
		c.CleanStart = false // a durable session: receipts wait for us
		c.Properties = &paho.ConnectProperties{SessionExpiryInterval: paho.Uint32(3600),
			RequestProblemInfo: true} // else a refusal has no text
		return c
	})
	client, err := autopaho.NewConnection(context.Background(), config)
	if err != nil {
		log.Fatal(err)
	}
	select {
	case said := <-outcome:
		fmt.Printf("%s: %s\n", topic, said)
	case <-time.After(10 * time.Second): // it waits in our session, unless this was a copy
		fmt.Printf("%s: no receipt yet\n", topic)
	}
	client.Disconnect(context.Background())
}
