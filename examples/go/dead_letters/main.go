// Takes the dead letters of its namespace, says what became of each, and sends it once more to
// its old topic. They wait while nobody takes them, and several workers share them.
package main

import (
	"context"
	"fmt"
	"log"
	"net/url"
	"strings"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
)

var (
	client *autopaho.ConnectionManager
	ready  = make(chan struct{}) // closed when there is a client: a message may be sooner
)

// The library acknowledges the letter when this returns: when the message is stored.
func take(letter *paho.Publish) {
	topic := strings.TrimPrefix(letter.Topic, "$dead/")
	about := letter.Properties.User
	last, outcome := about.Get("sent-again") != "", "sent again"
	if last {
		outcome = "given up"
	}
	fmt.Printf("%s: %s in %s, %s\n", topic, about.Get("sqmqos-dead-reason"),
		about.Get("sqmqos-dead-queue"), outcome)
	if last {
		return
	}
	// By a key of its own: it is stored once, also if we die now and the letter comes again.
	again := &paho.Publish{Topic: topic, QoS: 2, Payload: letter.Payload,
		Properties: &paho.PublishProperties{}}
	again.Properties.User.Add("sqmqos-key", about.Get("sqmqos-key")+" again")
	again.Properties.User.Add("sent-again", "yes")
	<-ready
	client.AwaitConnection(context.Background())
	answer, err := client.Publish(context.Background(), again)
	if err != nil || answer.ReasonCode >= 0x80 {
		log.Fatal("it was not stored: ", err) // the letter comes again
	}
}

func main() {
	log.SetFlags(0)
	sidecar, _ := url.Parse("mqtt://localhost:1883")
	config := autopaho.ClientConfig{
		BrokerUrls:        []*url.URL{sidecar},
		KeepAlive:         30,
		ConnectRetryDelay: time.Second,
		OnConnectionUp: func(client *autopaho.ConnectionManager, _ *paho.Connack) {
			_, err := client.Subscribe(context.Background(), &paho.Subscribe{
				Subscriptions: []paho.SubscribeOptions{{Topic: "$dead/#", QoS: 1}}})
			if err != nil {
				log.Fatal(err)
			}
		},
		ClientConfig: paho.ClientConfig{
			ClientID: "dead-letters",
			Router:   paho.NewSingleHandlerRouter(take),
		},
	}
	var err error
	if client, err = autopaho.NewConnection(context.Background(), config); err != nil {
		log.Fatal(err)
	}
	close(ready)
	<-client.Done()
}
