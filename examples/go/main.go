// Program first_token streams an answer through lb: first_token [FILE], a configuration, or else an upstream that answers
// in process.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"

	"lb.example/lb"
)

const (
	echo = `{"deployments": [{"name": "echo", "kind": "echo", "models": ["gpt-4o-mini"]}]}`
	body = `{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"Say hello."}]}`
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	config := lb.Text(echo)
	if len(os.Args) > 1 {
		text, err := os.ReadFile(os.Args[1])
		if err != nil {
			return err
		}
		config = lb.Text(text)
	}
	engine, err := lb.Open(config, &lb.Options{Secrets: true, NoListen: true})
	if err != nil {
		return err
	}
	defer engine.Close(context.Background())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	request, err := http.NewRequestWithContext(ctx, "POST", "http://lb/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return err
	}
	response, err := (&http.Client{Transport: engine}).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(os.Stdout, response.Body)
	return err
}
