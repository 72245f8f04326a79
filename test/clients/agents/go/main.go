// Paho Go as an application that does what it is told: test/support/agents.py. The
// library of MQTT 3.1.1 is in old.go, that of MQTT 5 in five.go.
//
//	agent 3.1.1|5
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

type client interface {
	connect(port, id string, clean bool, expiry uint32, willTopic, willText string) (bool, error)
	subscribe(topic string, qos byte) error
	publish(topic string, qos byte, retain bool, payload []byte) error
	disconnect() error
}

// Writes in one piece: the library's goroutines speak, too.
func say(format string, more ...any) {
	os.Stdout.WriteString(fmt.Sprintf(format, more...) + "\n")
}

func arrived(topic string, qos byte, retain bool, payload []byte) {
	var sum uint32
	for n, b := range payload {
		sum += uint32(n+1) * uint32(b)
	}
	kept := 0
	if retain {
		kept = 1
	}
	say("message %s %d %d %d %d", topic, qos, kept, len(payload), sum)
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

func obey(c client, w []string) (string, error) {
	switch w[0] {
	case "connect":
		present, err := c.connect(w[1], w[2], w[3] == "1", uint32(number(w[4])), w[5], w[6])
		if present {
			return "connected 1", err
		}
		return "connected 0", err
	case "subscribe":
		return "subscribed", c.subscribe(w[1], byte(number(w[2])))
	case "publish":
		size := number(w[5])
		payload := bytes.Repeat([]byte(w[4]), size/len(w[4])+1)[:size]
		return "published", c.publish(w[1], byte(number(w[2])), w[3] == "1", payload)
	case "disconnect":
		return "disconnected", c.disconnect()
	}
	return "", fmt.Errorf("no such verb: %s", w[0])
}

func main() {
	var c client = &old{}
	if os.Args[1] == "5" {
		c = &five{}
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		answer, err := obey(c, strings.Split(lines.Text(), " "))
		if err != nil {
			answer = "failed " + err.Error()
		}
		say("%s", answer)
	}
}
