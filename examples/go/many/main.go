// Program many sends calls, eight at a time, and prints who served how many: many FILE COUNT MODEL. An interrupt cancels
// those that are on their way.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"sort"
	"strconv"
	"strings"
	"sync"

	"lb.example/lb"
)

const atATime = 8

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: many FILE COUNT MODEL")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, file, count, model string) error {
	config, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	calls, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	engine, err := lb.Open(lb.Text(config), &lb.Options{Secrets: true, NoListen: true})
	if err != nil {
		return err
	}
	defer engine.Close(context.Background())

	var mu sync.Mutex
	var failures error
	served := map[string]int{}
	var group sync.WaitGroup
	places := make(chan struct{}, atATime)
	for i := 0; i < calls; i++ {
		group.Add(1)
		places <- struct{}{}
		go func() {
			defer group.Done()
			by, err := ask(ctx, engine, model)
			<-places
			mu.Lock()
			defer mu.Unlock()
			served[by]++
			failures = errors.Join(failures, err)
		}()
	}
	group.Wait()
	delete(served, "")
	names := make([]string, 0, len(served))
	for name := range served {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Println(name, "served", served[name])
	}
	return failures
}

// ask says who has answered.
func ask(ctx context.Context, engine *lb.Engine, model string) (string, error) {
	body := fmt.Sprintf(`{"model": %q, "messages": [{"role": "user", "content": "Say hello."}]}`, model)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://lb/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := (&http.Client{Transport: engine}).Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if _, err = io.Copy(io.Discard, response.Body); err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", errors.New(response.Status)
	}
	return response.Header.Get("X-Lb-Served-By"), nil
}
