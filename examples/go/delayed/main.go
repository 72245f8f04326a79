// Publishes an order that the broker keeps, durably, and gives to its consumers some seconds
// later.   delayed orders/2 5.00 10
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

func main() {
	log.SetFlags(0)
	topic, amount, seconds := os.Args[1], os.Args[2], os.Args[3]
	sidecar, _ := url.Parse("mqtt://localhost:1883")
	config := autopaho.ClientConfig{
		BrokerUrls:        []*url.URL{sidecar},
		KeepAlive:         30,
		ConnectRetryDelay: time.Second,
	}
	ctx := context.Background()
	client, err := autopaho.NewConnection(ctx, config)
	if err != nil {
		log.Fatal(err)
	}
	order := &paho.Publish{Topic: topic, QoS: 1, Payload: []byte(amount),
		Properties: &paho.PublishProperties{}}
	order.Properties.User.Add("sqmqos-delay", seconds)
	for {
		client.AwaitConnection(ctx)
		answer, err := client.Publish(ctx, order)
		if answer != nil && answer.ReasonCode >= 0x80 {
			// As where the delay is no number (0x83), or as much waits as may (0x97).
			log.Fatalf("%s: refused: 0x%02x %s", topic, answer.ReasonCode,
				answer.Properties.ReasonString)
		} else if err == nil {
			break
		}
		log.Print(err) // the connection was lost
	}
	fmt.Printf("%s: comes in %s s\n", topic, seconds)
	client.Disconnect(ctx)
}
