package main

import (
	"errors"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

const patience = 30 * time.Second

// MQTT 3.1.1, paho.mqtt.golang.
type old struct {
	client mqtt.Client
}

func finished(t mqtt.Token) error {
	if !t.WaitTimeout(patience) {
		return errors.New("not finished in time")
	}
	return t.Error()
}

func (o *old) connect(port, id string, clean bool, _ uint32, willTopic, willText string) (bool, error) {
	options := mqtt.NewClientOptions().AddBroker("tcp://127.0.0.1:" + port).SetClientID(id).
		SetCleanSession(clean).SetProtocolVersion(4).SetAutoReconnect(false)
	options.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
		arrived(m.Topic(), m.Qos(), m.Retained(), m.Payload())
	})
	if willTopic != "-" {
		options.SetWill(willTopic, willText, 1, false)
	}
	o.client = mqtt.NewClient(options)
	token := o.client.Connect()
	if err := finished(token); err != nil {
		return false, err
	}
	return token.(*mqtt.ConnectToken).SessionPresent(), nil
}

func (o *old) subscribe(topic string, qos byte) error {
	return finished(o.client.Subscribe(topic, qos, nil))
}

func (o *old) publish(topic string, qos byte, retain bool, payload []byte) error {
	return finished(o.client.Publish(topic, qos, retain, payload))
}

func (o *old) disconnect() error {
	o.client.Disconnect(250)
	return nil
}
