// A collector for tests: the OpenTelemetry Collector's own OTLP receiver, whose traces go to a file, a
// line of JSON for each request.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/receiver/receivertest"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// usage: collector HOST:PORT FILE
func main() {
	ctx := context.Background()
	file, err := os.OpenFile(os.Args[2], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	check(err)
	var lock sync.Mutex
	take, err := consumer.NewTraces(func(_ context.Context, traces ptrace.Traces) error {
		line, err := (&ptrace.JSONMarshaler{}).MarshalTraces(traces)
		lock.Lock()
		defer lock.Unlock()
		if err == nil {
			_, err = file.Write(append(line, '\n'))
		}
		return err
	})
	check(err)
	factory := otlpreceiver.NewFactory()
	config := factory.CreateDefaultConfig()
	check(confmap.NewFromStringMap(map[string]any{"protocols": map[string]any{
		"http": map[string]any{"endpoint": os.Args[1]}}}).Unmarshal(config))
	receiver, err := factory.CreateTraces(ctx, receivertest.NewNopSettings(factory.Type()), config, take)
	check(err)
	check(receiver.Start(ctx, componenttest.NewNopHost()))
	fmt.Println("ready")
	ends := make(chan os.Signal, 1)
	signal.Notify(ends, syscall.SIGTERM, syscall.SIGINT)
	<-ends
	check(receiver.Shutdown(ctx))
}
