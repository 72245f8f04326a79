// Answers requests for prices. They come as its pod's annotations declare: all replicas share
// one queue, each request goes to one of them, and waits there while none is up.
package main

import (
	"context"
	"fmt"
	"log"
	"net/url"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
)

var (
	client *autopaho.ConnectionManager
	ready  = make(chan struct{}) // closed when there is a client: a message may be sooner
)

func answer(request *paho.Publish) {
	if request.Properties.ResponseTopic == "" {
		return
	}
	reply := &paho.Publish{Topic: request.Properties.ResponseTopic, QoS: 1,
		Payload:    []byte(fmt.Sprintf("%d.00", len(request.Payload))),
		Properties: &paho.PublishProperties{CorrelationData: request.Properties.CorrelationData}}
	<-ready
	client.AwaitConnection(context.Background())
	if _, err := client.Publish(context.Background(), reply); err != nil {
		log.Fatal(err) // the request comes again
	}
}

func main() {
	sidecar, _ := url.Parse("mqtt://localhost:1883")
	config := autopaho.ClientConfig{ // it connects again by itself
		BrokerUrls:        []*url.URL{sidecar},
		KeepAlive:         30,
		ConnectRetryDelay: time.Second,
		ClientConfig: paho.ClientConfig{
			ClientID: "prices",
			Router:   paho.NewSingleHandlerRouter(answer),
		},
	}
	var err error
	if client, err = autopaho.NewConnection(context.Background(), config); err != nil {
		log.Fatal(err)
	}
	close(ready)
	<-client.Done()
}
