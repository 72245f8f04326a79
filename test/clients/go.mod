module sqmqos.io/clients

go 1.18

require github.com/eclipse/paho.golang v0.12.0

require golang.org/x/sync v0.4.0 // indirect
