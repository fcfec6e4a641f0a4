package lb

// Against `lb mock`, which LB names: what is seen of the binding from an upstream's side.

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

type mock struct {
	url     string
	process *exec.Cmd
}

func startMock(t testing.TB, options string) *mock {
	t.Helper()
	if os.Getenv("LB") == "" {
		t.Skip("LB does not say where the lb program is")
	}
	m := &mock{process: exec.Command(os.Getenv("LB"), "mock", "--options", options)}
	m.process.Stderr = os.Stderr
	out, err := m.process.StdoutPipe()
	if err == nil {
		err = m.process.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.process.Process.Kill(); m.process.Wait() })
	line, _ := bufio.NewReader(out).ReadString('\n')
	if m.url = regexp.MustCompile(`http://[0-9.:]+`).FindString(line); m.url == "" {
		t.Fatal(line)
	}
	return m
}

type journal struct {
	Counts struct {
		Requests     int `json:"requests"`
		ClientClosed int `json:"client_closed"`
		Open         int `json:"connections_open"`
	} `json:"counts"`
	Calls []struct {
		End       string            `json:"end"`
		EndMS     float64           `json:"end_ms"`
		BodyBytes int               `json:"body_bytes"`
		SentBytes int               `json:"sent_bytes"`
		Events    int               `json:"events"`
		Status    int               `json:"status"`
		Headers   map[string]string `json:"headers"`
	} `json:"calls"`
}

func (m *mock) journal(t testing.TB) (out journal) {
	t.Helper()
	response, err := http.Get(m.url + "/mock/journal")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err = json.NewDecoder(response.Body).Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

func over(mocks ...*mock) Config {
	config := Config{Routes: []Route{{Model: "m"}}}
	for i, m := range mocks {
		name := "up" + strconv.Itoa(i)
		config.Deployments = append(config.Deployments, Deployment{Name: name, URL: m.url + "/v1", Models: map[string]Model{"m": {}}})
		config.Routes[0].Tiers = append(config.Routes[0].Tiers, []string{name})
	}
	return config
}

// monotonic is the clock of the journal, in milliseconds.
func monotonic() float64 {
	var at syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, 1, uintptr(unsafe.Pointer(&at)), 0)
	return float64(at.Nano()) / 1e6
}

// closes checks that a call that `leave` ends is seen to end within 100 ms, in the median of five; the machine may be
// busy, so there are three rounds of them.
func closes(t *testing.T, options string, leave func(e *Engine) (at float64)) {
	t.Helper()
	m := startMock(t, options)
	e := open(t, over(m), nil)
	closed := 0
	round := func() (median float64) {
		var took []float64
		for len(took) < 5 {
			at := leave(e)
			closed++
			eventually(t, func() bool { return m.journal(t).Counts.ClientClosed == closed })
			calls := m.journal(t).Calls
			took = append(took, calls[len(calls)-1].EndMS-at)
		}
		sort.Float64s(took)
		t.Logf("the upstream's socket was closed after %.1f ms (median of %.1f)", took[2], took)
		return took[2]
	}
	if round() > 100 && round() > 100 && round() > 100 {
		t.Error("in no round within 100 ms")
	}
	eventually(t, func() bool { return inFlight(t, e) == 0 })
}

const long = `{"tokens":100000,"event_gap_ms":2}`

func beginStream(t *testing.T, e *Engine, ctx context.Context) *http.Response {
	t.Helper()
	response, err := e.RoundTrip(chat(ctx, "m", true))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := response.Body.Read(make([]byte, 64)); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	return response
}

func TestCancelBeforeHead(t *testing.T) {
	quiet(t)
	closes(t, `{"stall":{"before_head":true}}`, func(e *Engine) (at float64) {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(50*time.Millisecond, func() { at = monotonic(); cancel() })
		if _, err := e.RoundTrip(chat(ctx, "m", true)); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		return at
	})
}

func TestCancelBetweenEvents(t *testing.T) {
	quiet(t)
	closes(t, long, func(e *Engine) float64 {
		ctx, cancel := context.WithCancel(context.Background())
		response := beginStream(t, e, ctx)
		at := monotonic()
		cancel()
		if _, err := io.ReadAll(response.Body); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		return at
	})
}

func TestCancelWhileReading(t *testing.T) {
	closes(t, `{"tokens":10,"stall":{"after_events":2}}`, func(e *Engine) (at float64) {
		ctx, cancel := context.WithCancel(context.Background())
		response := beginStream(t, e, ctx)
		time.AfterFunc(50*time.Millisecond, func() { at = monotonic(); cancel() })
		if _, err := io.ReadAll(response.Body); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		return at
	})
}

func TestCancelByClose(t *testing.T) {
	quiet(t)
	closes(t, long, func(e *Engine) float64 {
		response := beginStream(t, e, context.Background())
		at := monotonic()
		response.Body.Close()
		return at
	})
}

func TestCancelOfCollected(t *testing.T) {
	closes(t, long, func(e *Engine) float64 {
		ctx, cancel := context.WithCancel(context.Background()) // A context that lives on holds nothing.
		t.Cleanup(cancel)
		beginStream(t, e, ctx)
		for i := 0; ; i++ {
			at := monotonic()
			runtime.GC()
			for end := time.Now().Add(100 * time.Millisecond); time.Now().Before(end); time.Sleep(time.Millisecond) {
				if inFlight(t, e) == 0 {
					return at
				}
			}
			if i == 50 {
				t.Fatal("the body was not collected")
			}
		}
	})
}

// blocked is a request body that never has more, and can be closed.
type blocked struct {
	first  io.Reader
	closed chan struct{}
	once   sync.Once
}

func (b *blocked) Read(p []byte) (int, error) {
	if n, _ := b.first.Read(p); n > 0 {
		return n, nil
	}
	<-b.closed
	return 0, io.ErrClosedPipe
}

func (b *blocked) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

func TestCancelInRequest(t *testing.T) {
	quiet(t)
	closes(t, `{}`, func(e *Engine) (at float64) {
		ctx, cancel := context.WithCancel(context.Background())
		source := &blocked{first: strings.NewReader(`{"model":"m","messages":[`), closed: make(chan struct{})}
		request := post(ctx, "")
		request.Body, request.ContentLength = source, -1
		time.AfterFunc(100*time.Millisecond, func() { at = monotonic(); cancel() })
		if _, err := e.RoundTrip(request); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		<-source.closed
		return at
	})
}

func TestBackPressure(t *testing.T) {
	m := startMock(t, `{"tokens":60000,"token_bytes":1000}`)
	e := open(t, over(m), nil)
	response := beginStream(t, e, context.Background())
	defer response.Body.Close()
	last := -1
	eventually(t, func() bool { // Until nothing more is sent for a while.
		time.Sleep(200 * time.Millisecond)
		before := last
		last = m.journal(t).Calls[0].SentBytes
		return last == before
	})
	// Of 60 MB: a window, and what the sockets hold.
	if last < 64<<10 || last > 16<<20 {
		t.Error(last)
	}
	p := make([]byte, 4<<20)
	if _, err := io.ReadFull(response.Body, p); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return m.journal(t).Calls[0].SentBytes > last+(2<<20) })
}

func TestRequestBodies(t *testing.T) {
	quiet(t)
	m := startMock(t, `{}`)
	e := open(t, over(m), nil)
	for _, size := range []int{1 << 10, 64<<10 - 1, 64 << 10, 64<<10 + 1, 1 << 20, 8 << 20} {
		for _, known := range []bool{true, false} {
			body := `{"model":"m","messages":[{"role":"user","content":"`
			body += strings.Repeat("x", size-len(body)-4) + `"}]}`
			request := post(context.Background(), body)
			if !known {
				request.Body, request.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader(body))), -1
			}
			if response, _ := ask(t, e, request); response.StatusCode != 200 {
				t.Error(response)
			}
			calls := m.journal(t).Calls
			if got := calls[len(calls)-1].BodyBytes; got != size {
				t.Errorf("%d bytes (known: %v): %d came", size, known, got)
			}
			length := calls[len(calls)-1].Headers["content-length"]
			if known != (length == strconv.Itoa(size)) || !known && length != "" {
				t.Errorf("%d bytes (known: %v): content-length %q", size, known, length)
			}
		}
	}
}

// No value can bring a field of its own.
func TestFields(t *testing.T) {
	m := startMock(t, `{}`)
	e := open(t, over(m), nil)
	request := chat(context.Background(), "m", false)
	request.Header.Set("X-Title", "a\r\nx-evil: 1\nx-worse: 2")
	request.Header["X-Bad\r\nx-evil"] = []string{"3"}
	request.Header["X-Two"] = []string{"one", "two"}
	ask(t, e, request)
	got := m.journal(t).Calls[0].Headers
	if got["x-title"] != "a  x-evil: 1 x-worse: 2" || got["x-evil"] != "" || got["x-worse"] != "" || !strings.Contains(got["x-two"], "two") {
		t.Error(got)
	}
}

type failing struct{ at io.Reader }

func (f failing) Read(p []byte) (int, error) {
	if n, _ := f.at.Read(p); n > 0 {
		return n, nil
	}
	return 0, errors.New("the disk is gone")
}
func (failing) Close() error { return nil }

func TestRequestBodyFails(t *testing.T) {
	e := open(t, echo(""), nil)
	for _, length := range []int64{-1, 1000, 1 << 20} {
		request := post(context.Background(), "")
		request.Body, request.ContentLength = failing{strings.NewReader(`{"model":"m"`)}, length
		if _, err := e.RoundTrip(request); err == nil || !strings.Contains(fmt.Sprint(errors.Unwrap(err)), "the disk is gone") {
			t.Error(length, err)
		}
	}
	request := post(context.Background(), `{"model":"m"}`)
	request.ContentLength = 1 << 20
	if _, err := e.RoundTrip(request); err == nil {
		t.Error("a body that is too short was taken")
	}
	eventually(t, func() bool { return inFlight(t, e) == 0 })
}

func TestFailover(t *testing.T) {
	limited := startMock(t, `{"limit":{"every_ms":3600000,"for_ms":3600000,"retry_after_s":7}}`)
	fine := startMock(t, `{"name":"fine"}`)
	e := open(t, over(limited, fine), nil)
	for i := 0; i < 5; i++ {
		response, body := ask(t, e, chat(context.Background(), "m", i%2 == 0))
		if response.Header.Get("X-Lb-Served-By") != "up1" || !strings.Contains(body, "fine") {
			t.Error(response.Header, body)
		}
	}
	if n := limited.journal(t).Counts.Requests; n != 1 {
		t.Error(n)
	}
	// All of them at once.
	alone := open(t, over(limited), nil)
	response, body := ask(t, alone, chat(context.Background(), "m", false)) // The last answer of an upstream is an answer.
	if response.StatusCode != 429 || response.Header.Get("Retry-After") == "" {
		t.Error(response, body)
	}
	_, err := alone.RoundTrip(chat(context.Background(), "m", false))
	var failed *Error
	if !errors.As(err, &failed) || failed.Status != StatusLimited || failed.Code != 429 || failed.RetryAfter < time.Second ||
		failed.RetryAfter > 7*time.Second {
		t.Errorf("%+v", err)
	}
}

func TestBrokenStream(t *testing.T) {
	m := startMock(t, `{"cut":{"after_events":3}}`)
	e := open(t, over(m), nil)
	response, err := e.RoundTrip(chat(context.Background(), "m", true))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	var failed *Error
	if !errors.As(err, &failed) || failed.Status != StatusBroken || failed.Message == "" || len(body) == 0 {
		t.Error(err, string(body))
	}
}

func resident(t testing.TB) int {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip(err)
	}
	var size, pages int
	fmt.Sscan(string(text), &size, &pages)
	return pages * os.Getpagesize()
}

// LB_CALLS calls of all kinds, a share of them left in the middle; 100,000 by hand.
func TestStableMemory(t *testing.T) {
	calls, _ := strconv.Atoi(os.Getenv("LB_CALLS"))
	if calls == 0 {
		calls = 5000
	}
	e := open(t, echo(`,"events":20`), nil)
	goroutines := runtime.NumGoroutine()
	some := func(n int) {
		var next atomic.Int64
		var group sync.WaitGroup
		for worker := 0; worker < 16; worker++ {
			group.Add(1)
			go func() {
				defer group.Done()
				for at := next.Add(1); at <= int64(n); at = next.Add(1) {
					ctx, cancel := context.WithCancel(context.Background())
					response, err := e.RoundTrip(chat(ctx, "m", at%2 == 0))
					if err != nil {
						t.Error(err)
					} else if at%5 == 0 {
						response.Body.Read(make([]byte, 10))
					} else if _, err = io.Copy(io.Discard, response.Body); err != nil {
						t.Error(err)
					}
					if at%7 != 0 && err == nil { // Others are left to the context, or to the collector.
						response.Body.Close()
					}
					cancel()
				}
			}()
		}
		group.Wait()
		runtime.GC()
		eventually(t, func() bool { return inFlight(t, e) == 0 })
	}
	some(calls / 5)
	before := resident(t)
	some(calls)
	after := resident(t)
	t.Logf("%d calls: %d KiB before, %d KiB after", calls, before>>10, after>>10)
	if after > before+(16<<20) {
		t.Error("memory has grown")
	}
	eventually(t, func() bool { return runtime.NumGoroutine() <= goroutines })
}
