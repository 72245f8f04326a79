package main

import (
	"context"
	"fmt"
	"net"

	"github.com/eclipse/paho.golang/paho"
)

// MQTT 5, paho.golang.
type five struct {
	client *paho.Client
}

func (f *five) connect(port, id string, clean bool, expiry uint32, willTopic, willText string) (bool, error) {
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		return false, err
	}
	f.client = paho.NewClient(paho.ClientConfig{
		Conn: conn,
		Router: paho.NewSingleHandlerRouter(func(p *paho.Publish) {
			arrived(p.Topic, p.QoS, p.Retain, p.Payload)
		}),
		PacketTimeout: patience,
	})
	packet := &paho.Connect{ClientID: id, CleanStart: clean, KeepAlive: 30,
		Properties: &paho.ConnectProperties{SessionExpiryInterval: &expiry}}
	if willTopic != "-" {
		packet.WillMessage = &paho.WillMessage{Topic: willTopic, Payload: []byte(willText), QoS: 1}
	}
	answer, err := f.client.Connect(context.Background(), packet)
	if err != nil {
		return false, err
	}
	return answer.SessionPresent, nil
}

func (f *five) subscribe(topic string, qos byte) error {
	_, err := f.client.Subscribe(context.Background(), &paho.Subscribe{
		Subscriptions: []paho.SubscribeOptions{{Topic: topic, QoS: qos}}})
	return err
}

func (f *five) publish(topic string, qos byte, retain bool, payload []byte) error {
	answer, err := f.client.Publish(context.Background(), &paho.Publish{
		Topic: topic, QoS: qos, Retain: retain, Payload: payload})
	if err == nil && answer != nil && answer.ReasonCode >= 0x80 {
		return fmt.Errorf("reason code 0x%02x", answer.ReasonCode)
	}
	return err
}

func (f *five) disconnect() error {
	return f.client.Disconnect(&paho.Disconnect{})
}
