// Package sdk is the test of the unmodified Go SDKs of OpenAI and Anthropic, with lb as their transport. LB names the program.
package sdk

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"lb.example/lb"
)

const patience = 30 * time.Second

type mock struct {
	url     string
	process *exec.Cmd
}

func startMock(t *testing.T, options string) *mock {
	t.Helper()
	m := &mock{process: exec.Command(os.Getenv("LB"), "mock", "--options", options)}
	m.process.Stderr = os.Stderr
	out, err := m.process.StdoutPipe()
	if err == nil {
		err = m.process.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.kill)
	line, _ := bufio.NewReader(out).ReadString('\n')
	if m.url = regexp.MustCompile(`http://[0-9.:]+`).FindString(line); m.url == "" {
		t.Fatal(line)
	}
	return m
}

func (m *mock) kill() {
	m.process.Process.Kill()
	m.process.Wait()
}

type seen struct {
	Counts struct {
		Requests     int `json:"requests"`
		ClientClosed int `json:"client_closed"`
	} `json:"counts"`
	Calls []struct {
		EndMS   float64           `json:"end_ms"`
		Headers map[string]string `json:"headers"`
	} `json:"calls"`
}

func (m *mock) journal(t *testing.T) (out seen) {
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

// tiers is an engine that asks the first of the upstreams, then the next.
func tiers(t *testing.T, dialect string, urls ...string) *lb.Engine {
	t.Helper()
	document := map[string]any{}
	var deployments []any
	var names [][]string
	for i, url := range urls {
		name := "up" + string(rune('0'+i))
		deployment := map[string]any{"name": name, "url": url + "/v1", "key": "sk-of-the-upstream", "models": []string{"m"}}
		if dialect != "openai" {
			deployment["dialect"] = dialect
		}
		deployments, names = append(deployments, deployment), append(names, []string{name})
	}
	document["deployments"] = deployments
	document["routes"] = []any{map[string]any{"model": "m", "tiers": names}}
	text, _ := json.Marshal(document)
	e, err := lb.Open(lb.Text(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	goroutines := runtime.NumGoroutine()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := e.Close(ctx); err != nil {
			t.Error("calls are left:", err)
		}
		http.DefaultClient.CloseIdleConnections()
		eventually(t, func() bool { return runtime.NumGoroutine() < goroutines+2 })
	})
	return e
}

func eventually(t *testing.T, what func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !what(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("did not happen in time")
		}
	}
}

func monotonic() float64 {
	var at syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, 1, uintptr(unsafe.Pointer(&at)), 0)
	return float64(at.Nano()) / 1e6
}

// aborted checks that the mock saw its n-th abandoned call end soon after `at`, a median of which is not needed: the bound is
// wide beside what it takes, a millisecond.
func (m *mock) aborted(t *testing.T, n int, at float64) {
	t.Helper()
	eventually(t, func() bool { return m.journal(t).Counts.ClientClosed == n })
	calls := m.journal(t).Calls
	took := calls[len(calls)-1].EndMS - at
	t.Logf("the upstream's socket was closed after %.1f ms", took)
	if took > 100 {
		t.Errorf("the upstream's socket was closed after %.1f ms", took)
	}
}

// scripted answers with what a script says, plain and as a stream, and keeps the last request.
type scripted struct {
	*httptest.Server
	mu   sync.Mutex
	body string
	head http.Header
}

func script(t *testing.T, plain string, events []string) *scripted {
	s := &scripted{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.body, s.head = string(body), r.Header
		s.mu.Unlock()
		if !strings.Contains(string(body), `"stream":true`) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, plain)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for _, event := range events {
			io.WriteString(w, event+"\n\n")
			w.(http.Flusher).Flush()
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *scripted) last() (string, http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.body, s.head
}

func TestMain(m *testing.M) {
	if os.Getenv("LB") == "" {
		println("LB does not say where the lb program is")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// hanging sends its events and then nothing, until its client goes.
func hanging(t *testing.T, events []string, gone chan<- struct{}) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		for _, event := range events {
			io.WriteString(w, event+"\n\n")
			w.(http.Flusher).Flush()
		}
		<-r.Context().Done()
		gone <- struct{}{}
	}))
	t.Cleanup(s.Close)
	return s
}

// overloaded answers so many calls as Anthropic does, and all that follow with its 529.
func overloaded(t *testing.T, good int) *httptest.Server {
	var mu sync.Mutex
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		mu.Lock()
		defer mu.Unlock()
		if good--; good >= 0 {
			io.WriteString(w, anthropicPlain)
			return
		}
		w.WriteHeader(529)
		io.WriteString(w, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`)
	}))
	t.Cleanup(s.Close)
	return s
}
