// Asks for a price, and waits for the answer: an MQTT 5 request says where its reply goes to,
// and by what it is known.   requester shirt
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log"
	"net/url"
	"os"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
)

const patience = 10 // seconds

func main() {
	log.SetFlags(0)
	item := os.Args[1]
	host, _ := os.Hostname() // on Kubernetes the pod's name: no other has it
	id := make([]byte, 16)
	rand.Read(id)
	request := &paho.Publish{Topic: "prices/get", QoS: 1, Payload: []byte(item),
		Properties: &paho.PublishProperties{
			ResponseTopic:   "replies/" + host,
			CorrelationData: id,
			MessageExpiry:   paho.Uint32(patience), // where nobody has taken it by then
		}}
	replies := make(chan string, 1)
	sidecar, _ := url.Parse("mqtt://localhost:1883")
	config := autopaho.ClientConfig{
		BrokerUrls:        []*url.URL{sidecar},
		KeepAlive:         30,
		ConnectRetryDelay: time.Second,
		OnConnectionUp: func(client *autopaho.ConnectionManager, _ *paho.Connack) {
			_, err := client.Subscribe(context.Background(), &paho.Subscribe{
				Subscriptions: []paho.SubscribeOptions{{Topic: "replies/" + host, QoS: 1}}})
			if err == nil {
				_, err = client.Publish(context.Background(), request)
			}
			if err != nil {
				log.Print(err)
			}
		},
		ClientConfig: paho.ClientConfig{
			Router: paho.NewSingleHandlerRouter(func(m *paho.Publish) {
				// What answers another request, perhaps of an earlier run, is passed by.
				if bytes.Equal(m.Properties.CorrelationData, id) {
					replies <- string(m.Payload)
				}
			}),
		},
	}
	client, err := autopaho.NewConnection(context.Background(), config)
	if err != nil {
		log.Fatal(err)
	}
	select {
	case price := <-replies:
		fmt.Printf("%s: %s\n", item, price)
	case <-time.After(patience * time.Second):
		log.Fatalf("%s: no answer", item)
	}
	client.Disconnect(context.Background())
}
