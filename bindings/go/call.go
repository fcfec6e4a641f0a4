package lb

/*
#include "shim.h"
*/
import "C"

import (
	"context"
	"errors"
	"io"
	"maps"
	"math"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// What is read of a request body at a time; one whose length is known and that fits is handed over whole. 64 KiB is
// what the engine reads at a time, too.
const piece = 64 << 10

// CallOptions are what one call asks for beyond its request; see [WithCallOptions].
type CallOptions struct {
	WindowBytes int // What may be delivered and not yet read; 0: the route's.
	Priority    int // Higher is served first when the call has to wait.
	// Called for an attempt that ended without ending the call, and once at the end of a call. They run on the goroutine
	// that takes all events and must not wait.
	OnAttempt func(*Error)
	OnDone    func(Done)
}

// Done is what is known of a call when it has ended.
type Done struct {
	Err                               *Error // nil when it ended well.
	TokensIn, TokensOut, TokensCached *int   // nil when the upstream did not say.
	Attempts                          int
	Queued, FirstByte, Total          time.Duration
	Upstream, Model, RequestID        string
}

type optionsKey struct{}

// WithCallOptions gives options to the calls that are made with the context, so that they pass through SDKs.
func WithCallOptions(ctx context.Context, options CallOptions) context.Context {
	return context.WithValue(ctx, optionsKey{}, &options)
}

// call is what is known of a call between its start and its end.
type call struct {
	engine  *Engine
	id      C.lb_call // The starter's; 0 before.
	options *CallOptions
	changed chan struct{} // Of one place: something below is new.

	source io.ReadCloser // Of a request body that is streamed.
	room   chan struct{} // Of one place: more of it is welcome.
	shut   sync.Once     // Closes it.

	mu     sync.Mutex
	code   int
	head   string
	window int
	data   buffer
	events bool  // Delivered one by one:
	sizes  []int // their sizes; the first `event` have been read.
	event  int
	owed   int   // Read, and not yet credited.
	err    error // Once it has ended, or was given up: io.EOF or an *Error.
	ended  bool  // DONE came.
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// take is the pump's: events of this call, in order.
func (c *call) take(events []C.lb_event, windows []C.uint64_t) {
	c.mu.Lock()
	for i := range events {
		switch event := &events[i]; event.kind {
		case eventHead:
			c.code, c.head, c.window = int(event.code), string(bytesOf(event)), int(windows[i])
		case eventData:
			if c.err == nil {
				c.data.append(bytesOf(event))
				if c.events {
					c.sizes = append(c.sizes, int(event.size))
				}
			}
		case eventDone:
			c.ended = true
			if c.err == nil {
				c.err = io.EOF
				if event.status != C.LB_OK {
					c.err = errorOf(event)
				}
			}
			signal(c.room)
		case eventRoom:
			signal(c.room)
		}
	}
	c.mu.Unlock()
	signal(c.changed)
	for i := 0; i < len(events) && c.options != nil; i++ {
		c.options.tell(&events[i])
	}
}

func (o *CallOptions) tell(event *C.lb_event) {
	switch {
	case event.kind == eventAttempt && o.OnAttempt != nil:
		o.OnAttempt(errorOf(event))
	case event.kind == eventDone && o.OnDone != nil:
		o.OnDone(doneOf(event))
	}
}

func doneOf(event *C.lb_event) Done {
	done := Done{
		Attempts:  int(eventNumber(event, fieldAttempts)),
		Queued:    time.Duration(eventNumber(event, fieldQueuedNS)),
		FirstByte: time.Duration(eventNumber(event, fieldFirstByteNS)),
		Total:     time.Duration(eventNumber(event, fieldTotalNS)),
		Upstream:  eventText(event, fieldUpstream),
		Model:     eventText(event, fieldModel),
		RequestID: eventText(event, fieldRequestID),
	}
	if event.status != C.LB_OK {
		done.Err = errorOf(event)
	}
	for field, out := range map[C.uint32_t]**int{fieldTokensIn: &done.TokensIn, fieldTokensOut: &done.TokensOut,
		fieldTokensCached: &done.TokensCached} {
		var value C.uint64_t
		if C.lb_event_u64(event, field, &value) != 0 {
			*out = Some(int(value))
		}
	}
	return done
}

// give ends the call for its host at once; the engine follows.
func (c *call) give(err error) {
	c.mu.Lock()
	over := c.ended
	if c.err == nil {
		c.err, c.sizes, c.event = err, nil, 0
		c.data.clear()
	}
	c.mu.Unlock()
	signal(c.changed)
	if !over {
		c.engine.with(func() C.lb_status { return C.lb_call_cancel(c.engine.c, c.id) })
	}
	if c.source != nil {
		c.closeSource()
		signal(c.room)
	}
}

func (c *call) closeSource() { c.shut.Do(func() { c.source.Close() }) }

// ofContext is the error of a context that has ended.
func ofContext(ctx context.Context) *Error {
	status := StatusCancelled
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		status = StatusDeadline
	}
	return &Error{Status: status, cause: context.Cause(ctx)}
}

// state is what RoundTrip waits for.
func (c *call) state() (began bool, ended bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.code != 0, c.ended, c.err
}

// fill reads what there is into p: nothing and no error while there is nothing.
func (c *call) fill(p []byte) (int, error) {
	c.mu.Lock()
	n := c.data.read(p)
	return n, c.took(n)
}

// next reads one event into p, or as much memory as it needs.
func (c *call) next(p []byte) (_ []byte, ok bool, err error) {
	c.mu.Lock()
	size := 0
	if ok = c.event < len(c.sizes); ok {
		size = c.sizes[c.event]
		if c.event++; c.event == len(c.sizes) {
			c.sizes, c.event = c.sizes[:0], 0
		}
	}
	if size > cap(p) {
		p = make([]byte, size)
	}
	return p[:size], ok, c.took(c.data.read(p[:size]))
}

// took counts what was read, unlocks, and gives credit by half windows. The error is the call's, at its end.
func (c *call) took(n int) (err error) {
	c.owed += n
	if c.data.size == 0 && c.event == len(c.sizes) {
		err = c.err
	}
	credit := 0
	if c.owed > 0 && 2*c.owed >= c.window && !c.ended {
		credit, c.owed = c.owed, 0
	}
	c.mu.Unlock()
	if credit > 0 {
		c.engine.with(func() C.lb_status { return C.lb_call_credit(c.engine.c, c.id, C.uint64_t(credit)) })
	}
	return err
}

// RoundTrip sends a request through the engine. Its URL matters by its path only: where it goes is the engine's choice.
// An error is an *[Error]; answers of upstreams are answers, whatever their status.
func (e *Engine) RoundTrip(request *http.Request) (*http.Response, error) {
	c, err := e.start(request, deliverBytes)
	if err != nil {
		return nil, err
	}
	return c.response(request)
}

// start hands the request over. Its body is closed, here or when all of it has gone.
func (e *Engine) start(request *http.Request, delivery C.uint32_t) (*call, error) {
	ctx := request.Context()
	c := &call{engine: e, events: delivery == deliverEvents, changed: make(chan struct{}, 1)}
	c.options, _ = ctx.Value(optionsKey{}).(*CallOptions)
	buffer := pieces.Get().(*[]byte)
	defer pieces.Put(buffer)
	body, whole, err := wholeBody(request, *buffer)
	var flags C.uint32_t
	if !whole {
		flags |= callAppend
		c.source, c.room = request.Body, make(chan struct{}, 1)
	}
	switch {
	case err != nil:
		err = &Error{Status: StatusCancelled, cause: err}
	case ctx.Err() != nil:
		err = ofContext(ctx)
	default:
		err = c.begin(request, delivery, flags, body)
	}
	if request.Body != nil && (whole || err != nil) {
		request.Body.Close()
	}
	if err != nil {
		return nil, err
	}
	if !whole {
		go c.send()
	}
	return c, nil
}

var pieces = sync.Pool{New: func() any { b := make([]byte, piece); return &b }}

// wholeBody reads a request's body if it is known to fit.
func wholeBody(request *http.Request, buffer []byte) (body []byte, whole bool, err error) {
	if request.Body == nil || request.Body == http.NoBody {
		return nil, true, nil
	}
	if request.ContentLength <= 0 || request.ContentLength > int64(len(buffer)) {
		return nil, false, nil
	}
	n, err := io.ReadFull(request.Body, buffer[:request.ContentLength])
	return buffer[:n], true, err
}

func (c *call) begin(request *http.Request, delivery, flags C.uint32_t, first []byte) error {
	head, err := headOf(request, flags&callAppend != 0)
	if err != nil {
		return err
	}
	var deadline, window C.uint32_t
	var priority C.int32_t
	if at, ok := request.Context().Deadline(); ok {
		deadline = C.uint32_t(min(max(milliseconds(time.Until(at)), 1), math.MaxUint32))
	}
	if o := c.options; o != nil {
		window, priority = C.uint32_t(o.WindowBytes), C.int32_t(o.Priority)
		if o.OnAttempt != nil {
			flags |= callAttempts
		}
	}
	at := c.engine.enter(c)
	started := C.go_started{}
	status := c.engine.with(func() C.lb_status {
		started = C.go_start(c.engine.c, c.engine.queue, C.uint64_t(at), delivery, deadline, window, priority, flags,
			chars(*head), C.size_t(len(*head)), unsafe.Pointer(unsafe.SliceData(first)), C.size_t(len(first)))
		return C.LB_OK
	})
	heads.Put(head)
	c.id = started.call
	if c.id != 0 {
		return nil
	}
	c.engine.mu.Lock()
	c.engine.release(at)
	c.engine.mu.Unlock()
	if started.error == nil {
		return statusError(status)
	}
	defer C.free(unsafe.Pointer(started.error))
	return (&failure{*started.error}).of(started.error.status)
}

var heads = sync.Pool{New: func() any { return new([]byte) }}

// headOf prints what lb_call_start takes. Line breaks would be fields of somebody else's.
func headOf(request *http.Request, length bool) (*[]byte, error) {
	head := heads.Get().(*[]byte)
	out := append((*head)[:0], request.Method...)
	if request.Method == "" {
		out = append(out, http.MethodGet...)
	}
	out = append(append(append(out, ' '), request.URL.RequestURI()...), " HTTP/1.1\r\n"...)
	for name, values := range request.Header {
		for _, value := range values {
			if broken(name) || broken(value) || strings.IndexByte(name, ':') >= 0 {
				return nil, &Error{Status: StatusInvalid}
			}
			out = append(append(append(append(out, name...), ": "...), value...), "\r\n"...)
		}
	}
	if length && request.ContentLength > 0 {
		out = append(strconv.AppendInt(append(out, "content-length: "...), request.ContentLength, 10), "\r\n"...)
	}
	*head = out
	return head, nil
}

func broken(s string) bool { return strings.IndexByte(s, '\n') >= 0 || strings.IndexByte(s, '\r') >= 0 }

// send brings the rest of a request's body, a piece at a time, each when it is welcome.
func (c *call) send() {
	defer c.closeSource()
	buffer := pieces.Get().(*[]byte)
	defer pieces.Put(buffer)
	for {
		<-c.room
		if _, _, err := c.state(); err != nil {
			return
		}
		n, err := c.source.Read(*buffer)
		if err != nil && err != io.EOF {
			c.give(&Error{Status: StatusCancelled, cause: err})
			return
		}
		last := C.int32_t(0)
		if err == io.EOF {
			last = 1
		}
		status := c.engine.with(func() C.lb_status {
			return C.lb_call_append(c.engine.c, c.id, unsafe.Pointer(unsafe.SliceData(*buffer)), C.size_t(n), last)
		})
		if status != C.LB_OK || last != 0 {
			return
		}
	}
}

// response waits for the head.
func (c *call) response(request *http.Request) (*http.Response, error) {
	ctx := request.Context()
	for {
		began, ended, err := c.state()
		if !began && err != nil {
			return nil, err
		}
		if began {
			return c.responded(request, ended), nil
		}
		if ctx.Done() == nil {
			<-c.changed
			continue
		}
		select {
		case <-c.changed:
		case <-ctx.Done():
			c.give(ofContext(ctx))
		}
	}
}

func (c *call) responded(request *http.Request, ended bool) *http.Response {
	response := &http.Response{
		Status: "200 OK", StatusCode: c.code, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: request,
		Header: fieldsOf(c.head), ContentLength: -1,
	}
	if c.code != http.StatusOK {
		response.Status = strconv.Itoa(c.code) + " " + http.StatusText(c.code)
	}
	if length, err := strconv.ParseInt(response.Header.Get("Content-Length"), 10, 64); err == nil {
		response.ContentLength = length
	}
	body := &body{call: c}
	response.Body = body
	// Of a call that has ended nothing is left to cancel.
	if !ended {
		if ctx := request.Context(); ctx.Done() != nil {
			body.stop = context.AfterFunc(ctx, func() { c.give(ofContext(ctx)) })
		}
		body.guard = onCollected(body, c)
	}
	return response
}

// fieldsOf reads the lines of a HEAD event.
func fieldsOf(head string) http.Header {
	count := strings.Count(head, "\n")
	fields, values := make(http.Header, count), make([]string, count)
	for head != "" {
		var line string
		line, head, _ = strings.Cut(head, "\r\n")
		name, value, _ := strings.Cut(line, ": ")
		name = canonical(name)
		if old := fields[name]; old != nil {
			fields[name] = append(old, value)
			continue
		}
		values[0] = value
		fields[name], values = values[:1:1], values[1:]
	}
	return fields
}

// Names of fields as Go writes them. A copy replaces it, so that nobody waits; upstreams have some dozens.
var names atomic.Pointer[map[string]string]

const namesMax = 256

func canonical(name string) string {
	known := names.Load()
	if known != nil {
		if as, ok := (*known)[name]; ok {
			return as
		}
	}
	as := textproto.CanonicalMIMEHeaderKey(name)
	next := map[string]string{strings.Clone(name): as}
	if known != nil {
		if len(*known) >= namesMax {
			return as
		}
		maps.Copy(next, *known)
	}
	names.CompareAndSwap(known, &next)
	return as
}

// body is a response's body. One that is forgotten is cancelled when it is collected.
type body struct {
	call  *call
	stop  func() bool
	guard guard
}

var errLeft = &Error{Status: StatusCancelled}

func (b *body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, err := b.call.fill(p)
		if n > 0 || err != nil {
			return n, err
		}
		<-b.call.changed
	}
}

// Close cancels the call if it has not ended.
func (b *body) Close() error {
	if b.stop != nil {
		b.stop()
	}
	b.guard.stop()
	b.call.give(errLeft)
	return nil
}
