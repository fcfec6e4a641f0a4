package main

import (
	"log"
	"net/http"
	"os"
	"strings"

	"lb.example/lb"
)

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() { // first_token FILE: a configuration
	engine := must(lb.Open(lb.Text(must(os.ReadFile(os.Args[1]))), &lb.Options{Secrets: true, NoListen: true}))
	body := strings.NewReader(`{"model": "gpt-4o-mini", "stream": true, "messages": [{"role": "user", "content": "Say hello."}]}`)
	response := must((&http.Client{Transport: engine}).Post("http://lb/v1/chat/completions", "application/json", body))
	must(os.Stdout.ReadFrom(response.Body))
}
