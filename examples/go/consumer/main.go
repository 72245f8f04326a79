// A declared consumer: what the pod's annotation sqmqos.io/subscribe names comes to the client
// with the id that sqmqos.io/client-id says, without a SUBSCRIBE, and waits while it is away.
package main

import (
	"context"
	"fmt"
	"log"
	"net/url"
	"strconv"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
)

// The library acknowledges a message of QoS 1 when this returns. Where the process ends before,
// the message comes again, and after `max-attempts` times it becomes a dead letter.
func take(m *paho.Publish) {
	amount, err := strconv.ParseFloat(string(m.Payload), 64)
	if err != nil {
		log.Fatalf("%s: '%s' is no amount", m.Topic, m.Payload)
	}
	fmt.Printf("%s: %.2f\n", m.Topic, amount)
}

func main() {
	log.SetFlags(0)
	sidecar, _ := url.Parse("mqtt://localhost:1883")
	config := autopaho.ClientConfig{ // it connects again by itself
		BrokerUrls:        []*url.URL{sidecar},
		KeepAlive:         30,
		ConnectRetryDelay: time.Second,
		ClientConfig: paho.ClientConfig{
			ClientID: "orders-worker",
			Router:   paho.NewSingleHandlerRouter(take),
		},
	}
	client, err := autopaho.NewConnection(context.Background(), config)
	if err != nil {
		log.Fatal(err)
	}
	<-client.Done()
}
