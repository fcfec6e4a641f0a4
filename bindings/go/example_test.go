package lb_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"lb.example/lb"
)

// An upstream that answers in process, for tests.
var config = lb.Config{Deployments: []lb.Deployment{
	{Name: "echo", Kind: lb.KindEcho, Events: lb.Some(3), Models: map[string]lb.Model{"gpt-4o-mini": {}}},
}}

func ask(ctx context.Context, stream bool) *http.Request {
	body := fmt.Sprintf(`{"model":"gpt-4o-mini","stream":%v,"messages":[{"role":"user","content":"Say hello."}]}`, stream)
	request, _ := http.NewRequestWithContext(ctx, "POST", "http://lb/v1/chat/completions", strings.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	return request
}

func Example() {
	engine, err := lb.Open(config, nil)
	if err != nil {
		panic(err)
	}
	defer engine.Close(context.Background())
	client := &http.Client{Transport: engine} // SDKs take one, too.
	response, err := client.Do(ask(context.Background(), false))
	if err != nil {
		panic(err)
	}
	defer response.Body.Close()
	var answer struct {
		Choices []struct{ Message struct{ Content string } }
	}
	json.NewDecoder(response.Body).Decode(&answer)
	fmt.Println(response.Header.Get("X-Lb-Served-By"), "says", answer.Choices[0].Message.Content)
	// Output: echo says tok 0 tok 1 tok 2
}

func ExampleError() {
	engine, err := lb.Open(lb.Text("deployments: [{name: gone, url: 'http://127.0.0.1:1/v1', models: [gpt-4o-mini]}]"), nil)
	if err != nil {
		panic(err)
	}
	defer engine.Close(context.Background())
	_, err = engine.RoundTrip(ask(context.Background(), false))
	var failed *lb.Error
	if errors.As(err, &failed) {
		fmt.Println(failed.Status.Name(), failed.Code, failed.Retryable())
	}
	_, err = lb.Open(lb.Text("deployments: []"), nil)
	if errors.As(err, &failed) {
		fmt.Println(failed.Status.Name(), failed.Where)
	}
	// Output:
	// CONNECT 502 true
	// CONFIG /deployments
}

func ExampleWithCallOptions() {
	engine, err := lb.Open(config, nil)
	if err != nil {
		panic(err)
	}
	defer engine.Close(context.Background())
	ended := make(chan lb.Done, 1)
	ctx := lb.WithCallOptions(context.Background(), lb.CallOptions{
		WindowBytes: 16 << 10,
		OnDone:      func(done lb.Done) { ended <- done },
	})
	response, err := engine.RoundTrip(ask(ctx, true))
	if err != nil {
		panic(err)
	}
	io.Copy(io.Discard, response.Body)
	response.Body.Close()
	done := <-ended
	fmt.Println(done.Upstream, done.Attempts, *done.TokensOut)
	// Output: echo 1 3
}

func ExampleEngine_Address() {
	engine, err := lb.Open(lb.Config{Listen: []lb.Listen{{Address: "127.0.0.1:0"}}, Deployments: config.Deployments}, nil)
	if err != nil {
		panic(err)
	}
	defer engine.Close(context.Background())
	address, err := engine.Address("")
	if err != nil {
		panic(err)
	}
	// An SDK would take "http://" + address + "/v1" as its base URL.
	response, err := http.Post("http://"+address+"/v1/chat/completions", "application/json",
		ask(context.Background(), false).Body)
	if err != nil {
		panic(err)
	}
	defer response.Body.Close()
	fmt.Println(response.StatusCode, response.Header.Get("X-Lb-Served-By"))
	// Output: 200 echo
}

// picking is an http.RoundTripper that asks a Balancer where to send a request, and sends it by net/http.
type picking struct {
	balancer *lb.Balancer
	send     http.RoundTripper
}

func (p picking) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	request.Body.Close()
	if err != nil {
		return nil, err
	}
	var asked struct{ Model string }
	json.Unmarshal(body, &asked)
	ask := lb.Ask{Model: asked.Model, Characters: len(body)}
	for {
		pick, err := p.balancer.Pick(&ask)
		var none *lb.Error
		if errors.As(err, &none) && none.Again {
			ask.Tried, ask.Retry = nil, true
			time.Sleep(none.RetryAfter)
			continue
		} else if err != nil {
			return nil, err
		}
		response, next, err := p.try(request, string(body), pick)
		if err != nil || next.Kind == lb.NextStop {
			return response, err
		}
		response.Body.Close()
		ask.Tried = append(ask.Tried, pick.Target)
	}
}

// try sends the request to a pick and reports what came of it.
func (p picking) try(request *http.Request, body string, pick *lb.Pick) (*http.Response, lb.Next, error) {
	to := request.Clone(request.Context())
	base, err := url.Parse(pick.URL)
	if err != nil {
		return nil, lb.Next{}, err
	}
	to.URL.Scheme, to.URL.Host, to.Host = base.Scheme, base.Host, ""
	to.URL.Path = base.Path + strings.TrimPrefix(request.URL.Path, "/v1")
	to.Body = io.NopCloser(strings.NewReader(body))
	to.Header.Set("Authorization", "Bearer "+pick.Key)
	response, err := p.send.RoundTrip(to)
	outcome := &lb.Outcome{Kind: lb.OutcomeConnect}
	switch {
	case err == nil && response.StatusCode < 400:
		outcome = &lb.Outcome{Kind: lb.OutcomeOK}
	case err == nil:
		text, _ := io.ReadAll(response.Body)
		response.Body = io.NopCloser(strings.NewReader(string(text)))
		outcome = &lb.Outcome{Kind: lb.OutcomeError, HTTPStatus: response.StatusCode, Header: response.Header, Body: text}
	}
	next, failed := p.balancer.Report(pick, outcome)
	if failed != nil || err != nil {
		return nil, next, errors.Join(err, failed)
	}
	return response, next, nil
}

// Those who keep net/http ask only where to send a request, and what to do when that failed.
func ExampleBalancer() {
	serve := func(status int, text string) *httptest.Server {
		return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, text)
		}))
	}
	limited, fine := serve(429, "later"), serve(200, "here you are")
	defer limited.Close()
	defer fine.Close()
	balancer, err := lb.OpenBalancer(lb.Config{
		Deployments: []lb.Deployment{
			{Name: "a", URL: limited.URL + "/v1", Models: map[string]lb.Model{"gpt-4o-mini": {}}},
			{Name: "b", URL: fine.URL + "/v1", Models: map[string]lb.Model{"gpt-4o-mini": {}}},
		},
		Routes: []lb.Route{{Model: "gpt-4o-mini", Tiers: [][]string{{"a"}, {"b"}}}},
	}, nil)
	if err != nil {
		panic(err)
	}
	defer balancer.Close()
	client := &http.Client{Transport: picking{balancer, http.DefaultTransport}}
	response, err := client.Do(ask(context.Background(), false))
	if err != nil {
		panic(err)
	}
	text, _ := io.ReadAll(response.Body)
	fmt.Println(response.StatusCode, string(text))
	// Output: 200 here you are
}
