// Program go is the conformance driver of the Go binding; ../README.md has the protocol.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"lb.example/lb"
)

// words of a command or an answer, in order; keys can repeat.
type words struct {
	name  string
	pairs [][2]string
}

func read(line string) (w words) {
	for i, word := range strings.Split(line, " ") {
		if i == 0 {
			w.name = word
			continue
		}
		key, value, _ := strings.Cut(word, "=")
		value, _ = url.PathUnescape(value)
		w.pairs = append(w.pairs, [2]string{key, value})
	}
	return w
}

func (w words) all(key string) (out []string) {
	for _, pair := range w.pairs {
		if pair[0] == key {
			out = append(out, pair[1])
		}
	}
	return out
}

func (w words) get(key string) string {
	if values := w.all(key); len(values) > 0 {
		return values[0]
	}
	return ""
}

func (w words) number(key string) int {
	n, _ := strconv.Atoi(w.get(key))
	return n
}

// line is an answer: the name, then keys and values in turn.
func line(name string, pairs ...any) string {
	var out strings.Builder
	out.WriteString(name)
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&out, " %v=", pairs[i])
		for _, b := range []byte(fmt.Sprint(pairs[i+1])) {
			if b < 0x21 || b > 0x7e || b == '%' {
				fmt.Fprintf(&out, "%%%02X", b)
			} else {
				out.WriteByte(b)
			}
		}
	}
	return out.String()
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func failed(err error, more ...any) string {
	if err == nil {
		return "ok"
	}
	var e *lb.Error
	if !errors.As(err, &e) {
		return line("bad", "error", err)
	}
	pairs := []any{"status", e.Status.Name()}
	switch e.Status {
	case lb.StatusCancelled:
		return line("error", pairs...)
	case lb.StatusDeadline:
		return line("error", append(pairs, more...)...)
	case lb.StatusConfig:
		return line("error", append(pairs, "where", e.Where)...)
	}
	return line("error", append(append(pairs, "code", e.Code, "retry_after", yes(e.RetryAfter > 0)), more...)...)
}

// call is one that was started; what waits for it waits for `begun`.
type call struct {
	cancel   context.CancelFunc
	begun    chan struct{}
	response *http.Response
	err      error
	done     chan lb.Done
	sent     atomic.Int64
}

// source is a request body that comes in pieces.
type source struct {
	io.Reader
	piece int
	sent  *atomic.Int64
}

func (s source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p[:min(len(p), s.piece)])
	s.sent.Add(int64(n))
	return n, err
}

func (source) Close() error { return nil }

type driver struct {
	engines   map[string]*lb.Engine
	calls     map[string]*call
	balancers map[string]*lb.Balancer
	picks     map[string]*lb.Pick
}

func (d *driver) call(w words) string {
	c := &call{begun: make(chan struct{}), done: make(chan lb.Done, 1)}
	d.calls[w.get("call")] = c
	var ctx context.Context
	ctx, c.cancel = context.WithCancel(context.Background())
	options := lb.CallOptions{WindowBytes: w.number("window"), OnDone: func(done lb.Done) { c.done <- done }}
	ctx = lb.WithCallOptions(ctx, options)
	if ms := w.number("deadline_ms"); ms > 0 {
		ctx, c.cancel = context.WithTimeout(ctx, time.Duration(ms)*time.Millisecond)
	}
	body := w.get("body") + strings.Repeat("x", w.number("fill")) + w.get("tail")
	request, err := http.NewRequestWithContext(ctx, "POST", "http://lb"+w.get("path"), strings.NewReader(body))
	if err != nil {
		return line("bad", "error", err)
	}
	if piece := w.number("pieces"); piece > 0 {
		request.Body = source{strings.NewReader(body), piece, &c.sent}
		if w.get("length") != "known" {
			request.ContentLength = -1
		}
	}
	request.Header.Set("Content-Type", "application/json")
	for _, field := range w.all("header") {
		name, value, _ := strings.Cut(field, ":")
		request.Header.Add(name, strings.TrimSpace(value))
	}
	engine := d.engines[w.get("engine")]
	go func() {
		defer close(c.begun)
		c.response, c.err = engine.RoundTrip(request)
	}()
	return "ok"
}

func (d *driver) head(c *call, w words) string {
	if c.err != nil {
		return failed(c.err)
	}
	pairs := []any{"code", c.response.StatusCode}
	for _, name := range strings.Split(w.get("show"), ",") {
		if value := c.response.Header.Get(name); value != "" {
			pairs = append(pairs, name, value)
		}
	}
	return line("head", pairs...)
}

func sum(data []byte) string {
	hash := fnv.New32a()
	hash.Write(data)
	return fmt.Sprintf("%08x", hash.Sum32())
}

func (d *driver) take(c *call, w words) string {
	if c.err != nil && w.name == "rest" {
		return failed(c.err, "bytes", 0)
	} else if c.err != nil {
		return failed(c.err)
	}
	if w.name == "read" {
		data := make([]byte, w.number("bytes"))
		n, err := io.ReadFull(c.response.Body, data)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return failed(err)
		}
		return line("data", "bytes", n, "fnv", sum(data[:n]))
	}
	data, err := io.ReadAll(c.response.Body)
	if err != nil {
		return failed(err, "bytes", len(data))
	}
	return line("end", "bytes", len(data), "fnv", sum(data))
}

func number(n *int) any {
	if n == nil {
		return "-"
	}
	return *n
}

func (d *driver) ofCall(w words) string {
	c := d.calls[w.get("call")]
	switch w.name {
	case "cancel":
		c.cancel()
		return "ok"
	case "sent":
		return line("sent", "bytes", c.sent.Load())
	}
	<-c.begun
	switch w.name {
	case "head":
		return d.head(c, w)
	case "read", "rest":
		return d.take(c, w)
	case "leave":
		c.response.Body.Close()
		return "ok"
	case "collect":
		c.response, c.err = nil, &lb.Error{Status: lb.StatusCancelled}
		runtime.GC()
		runtime.GC()
		return "ok"
	case "done":
		done := <-c.done
		if done.Err != nil {
			return failed(done.Err)
		}
		return line("done", "tokens_in", number(done.TokensIn), "tokens_out", number(done.TokensOut), "attempts", done.Attempts,
			"upstream", done.Upstream)
	}
	return line("bad", "command", w.name)
}

func (d *driver) ofEngine(w words) string {
	name, config := w.get("engine"), lb.Text(w.get("config"))
	if w.name == "open" {
		seed, _ := strconv.ParseUint(w.get("seed"), 10, 64)
		engine, err := lb.Open(config, &lb.Options{Secrets: w.get("secrets") == "yes", Seed: seed, CallsMax: w.number("calls_max")})
		if err == nil {
			d.engines[name] = engine
		}
		return failed(err)
	}
	e := d.engines[name]
	switch w.name {
	case "configure":
		return failed(e.Configure(config))
	case "mark":
		if err := e.Mark(w.get("name"), w.get("model"), time.Duration(w.number("ms"))*time.Millisecond); err != nil {
			return plain(err)
		}
		return "ok"
	case "address":
		at, err := e.Address(w.get("name"))
		if err != nil {
			return plain(err)
		}
		return line("address", "at", at)
	case "stats":
		if w.get("format") == "prometheus" {
			return line("stats", "bytes", len(e.Metrics()))
		}
		return line("stats", "bytes", len(e.Stats()))
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(w.number("drain_ms"))*time.Millisecond)
	defer cancel()
	e.Close(ctx)
	delete(d.engines, name)
	return "ok"
}

// plain has nothing of a call.
func plain(err error) string {
	var e *lb.Error
	errors.As(err, &e)
	return line("error", "status", e.Status.Name())
}

var outcomes = map[string]lb.OutcomeKind{"OK": lb.OutcomeOK, "ERROR": lb.OutcomeError, "CONNECT": lb.OutcomeConnect,
	"TIMEOUT": lb.OutcomeTimeout, "BROKEN": lb.OutcomeBroken, "CANCELLED": lb.OutcomeCancelled, "NOT_SENT": lb.OutcomeNotSent}

func (d *driver) ofBalancer(w words) string {
	name := w.get("balancer")
	b := d.balancers[name]
	switch w.name {
	case "balancer":
		seed, _ := strconv.ParseUint(w.get("seed"), 10, 64)
		b, err := lb.OpenBalancer(lb.Text(w.get("config")), &lb.BalancerOptions{Seed: seed})
		if err == nil {
			d.balancers[name] = b
		}
		return failed(err)
	case "free":
		b.Close()
		delete(d.balancers, name)
		return "ok"
	case "report":
		return d.report(b, w)
	}
	ask := &lb.Ask{Model: w.get("model"), Caller: w.get("caller"), Retry: w.get("retry") == "yes"}
	for _, tried := range strings.Split(w.get("tried"), ",") {
		if pick := d.picks[tried]; pick != nil {
			ask.Tried = append(ask.Tried, pick.Target)
		}
	}
	pick, err := b.Pick(ask)
	if err != nil {
		var e *lb.Error
		errors.As(err, &e)
		return line("error", "status", e.Status.Name(), "wait", yes(e.RetryAfter > 0), "again", yes(e.Again))
	}
	d.picks[w.get("pick")] = pick
	if pick.Model == "" {
		pick.Model = "-"
	}
	return line("pick", "deployment", pick.Deployment, "url", pick.URL, "key", pick.Key, "model", pick.Model)
}

func (d *driver) report(b *lb.Balancer, w words) string {
	outcome := &lb.Outcome{Kind: outcomes[w.get("kind")], HTTPStatus: w.number("http_status"), Body: []byte(w.get("body")),
		Header: http.Header{}, Delivered: w.get("delivered") == "yes"}
	for _, field := range strings.Split(w.get("head"), "\r\n") {
		if name, value, ok := strings.Cut(field, ":"); ok {
			outcome.Header.Add(name, strings.TrimSpace(value))
		}
	}
	for key, out := range map[string]**int{"tokens_in": &outcome.TokensIn, "tokens_out": &outcome.TokensOut} {
		if w.get(key) != "" {
			*out = lb.Some(w.number(key))
		}
	}
	next, err := b.Report(d.picks[w.get("pick")], outcome)
	if err != nil {
		return plain(err)
	}
	kind := map[lb.NextKind]string{lb.NextStop: "STOP", lb.NextElsewhere: "ELSEWHERE"}[next.Kind]
	return line("next", "kind", kind, "out", yes(next.Out > 0))
}

func (d *driver) do(w words) string {
	switch w.name {
	case "open", "configure", "mark", "address", "stats", "close":
		return d.ofEngine(w)
	case "balancer", "pick", "report", "free":
		return d.ofBalancer(w)
	case "call":
		return d.call(w)
	}
	return d.ofCall(w)
}

func main() {
	d := driver{map[string]*lb.Engine{}, map[string]*call{}, map[string]*lb.Balancer{}, map[string]*lb.Pick{}}
	fmt.Println("driver lang=go has=done,window,balancer,collect,seed")
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fmt.Println(d.do(read(lines.Text())))
	}
	for _, e := range d.engines {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		e.Close(ctx)
	}
	for _, b := range d.balancers {
		b.Close()
	}
}
