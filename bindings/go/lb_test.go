package lb

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// Far longer than anything here takes, also on a busy machine.
const patience = 30 * time.Second

// echo is one deployment that answers in process.
func echo(more string) Text {
	return Text(`{"deployments":[{"name":"echo","kind":"echo","models":["m"]` + more + `}]}`)
}

func open(t testing.TB, config Document, options *Options) *Engine {
	t.Helper()
	e, err := Open(config, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeNow(e) })
	return e
}

func closeNow(e *Engine) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	e.Close(ctx)
}

func chat(ctx context.Context, model string, stream bool) *http.Request {
	return post(ctx, fmt.Sprintf(`{"model":%q,"stream":%v,"messages":[{"role":"user","content":"Say hello."}]}`, model, stream))
}

func post(ctx context.Context, body string) *http.Request {
	request, err := http.NewRequestWithContext(ctx, "POST", "http://lb/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	request.Header.Set("Content-Type", "application/json")
	return request
}

func ask(t testing.TB, e *Engine, request *http.Request) (*http.Response, string) {
	t.Helper()
	response, err := (&http.Client{Transport: e}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

// quiet fails when goroutines are left behind.
func quiet(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		eventually(t, func() bool { return runtime.NumGoroutine() <= before })
	})
}

func eventually(t testing.TB, what func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !what(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			buffer := make([]byte, 1<<16)
			t.Fatalf("did not happen in time\n%s", buffer[:runtime.Stack(buffer, true)])
		}
	}
}

func inFlight(t testing.TB, e *Engine) int {
	t.Helper()
	var stats struct {
		Calls struct {
			InFlight int `json:"in_flight"`
		}
	}
	if err := json.Unmarshal([]byte(e.Stats()), &stats); err != nil {
		t.Fatal(err)
	}
	return stats.Calls.InFlight
}

func TestPlain(t *testing.T) {
	quiet(t)
	e := open(t, echo(`,"events":3`), nil)
	response, body := ask(t, e, chat(context.Background(), "m", false))
	if response.StatusCode != 200 || response.Status != "200 OK" || response.Header.Get("Content-Type") != "application/json" ||
		response.Header.Get("X-Lb-Served-By") != "echo" {
		t.Error(response)
	}
	if !strings.Contains(body, `"content":"tok 0 tok 1 tok 2 "`) {
		t.Error(body)
	}
	if n := int64(len(body)); response.ContentLength != n && response.ContentLength != -1 {
		t.Error(response.ContentLength, n)
	}
}

func TestStreamed(t *testing.T) {
	e := open(t, echo(`,"events":50`), nil)
	_, body := ask(t, e, chat(context.Background(), "m", true))
	if strings.Count(body, "data: {") != 52 || !strings.HasSuffix(body, "data: [DONE]\n\n") {
		t.Error(body)
	}
}

func TestSmallWindow(t *testing.T) {
	e := open(t, echo(`,"events":2000`), nil)
	ctx := WithCallOptions(context.Background(), CallOptions{WindowBytes: 1024})
	_, body := ask(t, e, chat(ctx, "m", true))
	if strings.Count(body, "data: {") != 2002 {
		t.Error(len(body))
	}
	// As small pieces as there are.
	response, err := e.RoundTrip(chat(ctx, "m", true))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	count := 0
	for p := make([]byte, 3); ; {
		n, err := response.Body.Read(p)
		count += n
		if err == io.EOF {
			break
		}
		if err != nil || n == 0 {
			t.Fatal(n, err)
		}
	}
	if count != len(body) {
		t.Error(count, len(body))
	}
}

// A reader that does not read: the window and one event are all that waits for it.
func TestSlowReader(t *testing.T) {
	e := open(t, echo(`,"events":5000`), nil)
	ctx := WithCallOptions(context.Background(), CallOptions{WindowBytes: 4096})
	response, err := e.RoundTrip(chat(ctx, "m", true))
	if err != nil {
		t.Fatal(err)
	}
	c := response.Body.(*body).call
	held := func() int {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.data == nil {
			return 0
		}
		return c.data.Len()
	}
	eventually(t, func() bool { return held() >= 4096 })
	time.Sleep(20 * time.Millisecond)
	if n := held(); n > 4096+512 {
		t.Error(n)
	}
	for p := make([]byte, 100); err == nil; {
		_, err = response.Body.Read(p)
		if n := held(); n > 4096+512 {
			t.Fatal(n)
		}
	}
	if err != io.EOF {
		t.Error(err)
	}
}

func TestErrors(t *testing.T) {
	e := open(t, Text(`{"deployments":[{"name":"gone","url":"http://127.0.0.1:1/v1","models":["m"]}]}`), nil)
	_, err := (&http.Client{Transport: e}).Do(chat(context.Background(), "m", false))
	var failed *Error
	if !errors.As(err, &failed) {
		t.Fatal(err)
	}
	if failed.Status != StatusConnect || failed.Status.Name() != "CONNECT" || failed.Code != 502 || failed.Upstream != "gone" ||
		failed.Message == "" || failed.RequestID == "" || !failed.Retryable() || failed.Timeout() {
		t.Errorf("%+v", failed)
	}
	_, err = e.RoundTrip(chat(context.Background(), "other", false))
	if !errors.As(err, &failed) || failed.Status != StatusInvalid || failed.Code != 404 {
		t.Error(err)
	}
	request := chat(context.Background(), "m", false)
	request.Method = "GET"
	if _, err = e.RoundTrip(request); !errors.As(err, &failed) || failed.Status != StatusInvalid || failed.Message == "" {
		t.Error(err)
	}
	if _, err = Open(Text(`{"deployments":[{"name":"a","url":"ftp://x"}]}`), nil); !errors.As(err, &failed) ||
		failed.Status != StatusConfig || failed.Where != "/deployments/0/url" || failed.Message == "" {
		t.Error(err)
	}
	if err = Check(Config{}); !errors.As(err, &failed) || failed.Status != StatusConfig {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	config := Config{
		Deployments: []Deployment{
			{Name: "echo", Kind: KindEcho, Events: Some(0), Models: map[string]Model{"m": {RPM: 5}}},
			{Name: "b", URL: "https://b.example/v1", Key: &Secret{Text: "sk-b"}, Headers: map[string]Secret{"x": {Text: "y"}, "z": {Env: "NO_SUCH"}}},
		},
		Routes: []Route{{Model: "m", Tiers: [][]string{{"echo"}, {"b"}}, Retries: Some(0), Hedge: &Hedge{}, Balance: BalanceP2C}},
	}
	if err := Check(config); err != nil {
		t.Error(err)
	}
	text, _ := config.document()
	if !strings.Contains(string(text), `"retries":0`) || strings.Contains(string(text), `"backoff_ms"`) {
		t.Error(string(text))
	}
	if printed := fmt.Sprintf("%v %+v %#v", config.Deployments[1].Headers, *config.Deployments[1].Key, config.Deployments[1].Headers); strings.Contains(printed, "sk-b") ||
		strings.Contains(printed, `"y"`) {
		t.Error(printed)
	}
	if _, err := Open(config, nil); err == nil {
		t.Error("secrets were read unasked")
	}
	var schema map[string]any
	if json.Unmarshal([]byte(Schema()), &schema) != nil || !json.Valid([]byte(BuildInfo())) {
		t.Error(BuildInfo())
	}
}

func TestDeadline(t *testing.T) {
	quiet(t)
	e := open(t, echo(`,"delay_ms":3600000`), nil)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err := e.RoundTrip(chat(ctx, "m", true))
	var failed *Error
	if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &failed) || failed.Status != StatusDeadline || !failed.Timeout() {
		t.Error(err)
	}
	_, err = (&http.Client{Transport: e, Timeout: 20 * time.Millisecond}).Do(chat(context.Background(), "m", true))
	var timeout interface{ Timeout() bool }
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Error(err)
	}
	eventually(t, func() bool { return inFlight(t, e) == 0 })
}

func TestCancelCause(t *testing.T) {
	e := open(t, echo(`,"delay_ms":3600000`), nil)
	why := errors.New("the user left")
	ctx, cancel := context.WithCancelCause(context.Background())
	time.AfterFunc(10*time.Millisecond, func() { cancel(why) })
	_, err := e.RoundTrip(chat(ctx, "m", true))
	if !errors.Is(err, why) || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err = e.RoundTrip(chat(ctx, "m", true)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestReadAfterClose(t *testing.T) {
	e := open(t, echo(`,"events":100,"delay_ms":5`), nil)
	response, err := e.RoundTrip(chat(context.Background(), "m", true))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	response.Body.Close()
	if n, err := response.Body.Read(make([]byte, 10)); n != 0 || !errors.Is(err, context.Canceled) {
		t.Error(n, err)
	}
	eventually(t, func() bool { return inFlight(t, e) == 0 })
}

func TestDone(t *testing.T) {
	e := open(t, Text(`{"deployments":[{"name":"gone","url":"http://127.0.0.1:1/v1","models":["m"]},
		{"name":"echo","kind":"echo","events":4,"models":["m"]}],"routes":[{"model":"m","tiers":[["gone"],["echo"]]}]}`), nil)
	ended := make(chan Done, 4)
	ask(t, e, chat(WithCallOptions(context.Background(), CallOptions{OnDone: func(done Done) { ended <- done }}), "m", true))
	done := <-ended
	if done.Err != nil || done.Attempts != 2 || done.Upstream != "echo" || done.Model != "m" || done.TokensOut == nil ||
		*done.TokensOut != 4 || done.TokensCached != nil || done.Total <= 0 || done.RequestID == "" {
		t.Errorf("%+v", done)
	}
}

func TestLog(t *testing.T) {
	lines := make(chan string, 100)
	e := open(t, Text(`{"deployments":[{"name":"gone","url":"http://127.0.0.1:1/v1","models":["m"]}]}`),
		&Options{LogLevel: slog.LevelWarn, Log: func(level slog.Level, line string) { lines <- level.String() + " " + line }})
	e.RoundTrip(chat(context.Background(), "m", true))
	select {
	case line := <-lines:
		if !strings.HasPrefix(line, "WARN {") {
			t.Error(line)
		}
	case <-time.After(patience):
		t.Error("no line")
	}
}

func TestCloseDrains(t *testing.T) {
	quiet(t)
	e := open(t, echo(`,"events":20,"delay_ms":5`), nil)
	response, err := e.RoundTrip(chat(context.Background(), "m", true))
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error)
	go func() { closed <- e.Close(context.Background()) }()
	body, err := io.ReadAll(response.Body)
	if err != nil || !bytes.HasSuffix(body, []byte("[DONE]\n\n")) {
		t.Error(err, string(body))
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	var failed *Error
	if _, err := e.RoundTrip(chat(context.Background(), "m", true)); !errors.As(err, &failed) || failed.Status != StatusClosed {
		t.Error(err)
	}
	if err := e.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if err := e.Configure(echo("")); !errors.As(err, &failed) || failed.Status != StatusClosed || err.Error() == "" {
		t.Error(err)
	}
	if e.Stats() != "" || e.Mark("echo", "", 0) == nil {
		t.Error("a closed engine answers")
	}
	response.Body.Close()
}

func TestCloseCancels(t *testing.T) {
	quiet(t)
	e := open(t, echo(`,"events":20,"delay_ms":3600000`), nil)
	failed := make(chan error)
	go func() {
		_, err := e.RoundTrip(chat(context.Background(), "m", true))
		failed <- err
	}()
	eventually(t, func() bool { return inFlight(t, e) == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := e.Close(ctx); err != context.DeadlineExceeded {
		t.Error(err)
	}
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestConfigureAndMark(t *testing.T) {
	e := open(t, echo(""), nil)
	if err := e.Configure(Text(`{"deployments":[{"name":"other","kind":"echo","models":["n"]}]}`)); err != nil {
		t.Fatal(err)
	}
	response, _ := ask(t, e, chat(context.Background(), "n", false))
	if response.Header.Get("X-Lb-Served-By") != "other" {
		t.Error(response.Header)
	}
	var failed *Error
	if err := e.Configure(Text(`{"deployments":[]}`)); !errors.As(err, &failed) || failed.Status != StatusConfig || failed.Where == "" {
		t.Error(err)
	}
	if err := e.Mark("nobody", "", time.Second); !errors.As(err, &failed) || failed.Status != StatusInvalid {
		t.Error(err)
	}
	if err := e.Mark("other", "n", time.Hour); err != nil {
		t.Error(err)
	}
	if err := e.Mark("other", "n", 0); err != nil {
		t.Error(err)
	}
	if !strings.Contains(e.Metrics(), "# TYPE") {
		t.Error(e.Metrics())
	}
}

func TestGateway(t *testing.T) {
	e := open(t, Text(`{"listen":[{"address":"127.0.0.1:0"}],"deployments":[{"name":"echo","kind":"echo","models":["m"]}]}`), nil)
	address, err := e.Address("")
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Get("http://" + address + "/healthz")
	if err != nil || response.StatusCode != 200 {
		t.Fatal(response, err)
	}
	response.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if _, err = e.Address("nobody"); err == nil {
		t.Error("an address of nothing")
	}
	deaf := open(t, Text(`{"listen":[{"address":"127.0.0.1:0"}],"deployments":[{"name":"echo","kind":"echo"}]}`), &Options{NoListen: true})
	if _, err = deaf.Address(""); err == nil {
		t.Error("it listens")
	}
}

func TestTwoEngines(t *testing.T) {
	quiet(t)
	a, b := open(t, echo(`,"events":1`), nil), open(t, echo(`,"events":2`), nil)
	var group sync.WaitGroup
	for i := 0; i < 50; i++ {
		for n, e := range []*Engine{a, b} {
			group.Add(1)
			go func(n int, e *Engine) {
				defer group.Done()
				if _, body := ask(t, e, chat(context.Background(), "m", true)); strings.Count(body, "data: {") != n+3 {
					t.Error(body)
				}
			}(n, e)
		}
	}
	group.Wait()
	closeNow(a)
	ask(t, b, chat(context.Background(), "m", false))
}

func TestBalancer(t *testing.T) {
	b, err := OpenBalancer(Text(`{"deployments":[{"name":"a","url":"http://a.example/v1/","key":"ka","models":{"m":{"as":"m-a"}}},
		{"name":"b","url":"http://b.example/v1","models":["m"]}],"routes":[{"model":"m","tiers":[["a"],["b"]]}]}`), &BalancerOptions{Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	first, err := b.Pick(&Ask{Model: "m", Characters: 40})
	if err != nil || first.Deployment != "a" || first.URL != "http://a.example/v1" || first.Key != "ka" || first.Model != "m-a" {
		t.Fatal(first, err)
	}
	next, err := b.Report(first, &Outcome{Kind: OutcomeError, HTTPStatus: 429, Header: http.Header{"Retry-After": {"7"}}, Body: []byte("{}")})
	if err != nil || next.Kind != NextElsewhere || next.Out < 6*time.Second || next.Out > 8*time.Second {
		t.Fatal(next, err)
	}
	second, err := b.Pick(&Ask{Model: "m", Tried: []uint32{first.Target}, Deadline: time.Now().Add(time.Minute)})
	if err != nil || second.Deployment != "b" || second.Model != "m" {
		t.Fatal(second, err)
	}
	next, err = b.Report(second, &Outcome{Kind: OutcomeOK, TokensIn: Some(10), TokensOut: Some(0), FirstContent: time.Millisecond})
	if err != nil || next.Kind != NextStop || next.Out != 0 {
		t.Fatal(next, err)
	}
	var failed *Error
	if _, err = b.Report(second, &Outcome{}); !errors.As(err, &failed) || failed.Status != StatusGone {
		t.Error(err)
	}
	if _, err = b.Pick(&Ask{Model: "m", Tried: []uint32{first.Target, second.Target}}); !errors.As(err, &failed) || failed.Status != StatusNoUpstream {
		t.Error(err)
	}
	if _, err = b.Pick(&Ask{Model: "x"}); !errors.As(err, &failed) || failed.Status != StatusInvalid {
		t.Error(err)
	}
	if why := b.Explain(&Ask{Model: "m"}); !json.Valid([]byte(why)) {
		t.Error(why)
	}
	if b.Explain(&Ask{Model: "x"}) != "" || !json.Valid([]byte(b.Stats())) {
		t.Error(b.Stats())
	}
	if err = b.Mark("b", "", time.Hour); err != nil {
		t.Error(err)
	}
	if err = b.Configure(Text("{")); err == nil {
		t.Error("that is no configuration")
	}
	if err = b.Configure(Text(`{"deployments":[{"name":"c","url":"http://c.example/v1","models":["m"]}]}`)); err != nil {
		t.Error(err)
	}
	b.Close()
	if _, err = b.Pick(&Ask{Model: "m"}); !errors.As(err, &failed) || failed.Status != StatusClosed {
		t.Error(err)
	}
}
