package lb

/*
#include <lb.h>
*/
import "C"

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"runtime/cgo"
	"strconv"
	"sync"
	"time"
	"unsafe"
)

// What is read of a request body at a time, and what is handed over whole: as much as the engine reads at a time.
const piece = 64 << 10

// CallOptions are what one call asks for beyond its request; see [WithCallOptions].
type CallOptions struct {
	WindowBytes int // What may be delivered and not yet read; 0: the route's.
	// Called once at the end of a call that was started, on the goroutine that takes all events: it must not wait.
	OnDone func(Done)
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
	return context.WithValue(ctx, optionsKey{}, options)
}

// call is what is known of a call between its start and its end.
type call struct {
	engine *Engine
	id     C.lb_call // The starter's; 0 before.
	onDone func(Done)
	stop   func() bool // Watching the context.

	source io.ReadCloser // Of a request body that is streamed.
	shut   sync.Once     // Closes it.

	mu      sync.Mutex
	changed sync.Cond // Something below is new.
	room    bool      // More of the request body is welcome.
	code    int
	head    string
	window  uint64
	data    *bytes.Buffer // Delivered, and not yet read; nil when there is nothing, so that a stream that waits holds none.
	owed    uint64        // Read, and not yet credited.
	err     error         // Once it has ended, or was given up: io.EOF or an *Error.
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// drop gives the buffer back.
func (c *call) drop() {
	if c.data != nil {
		c.data.Reset()
		buffers.Put(c.data)
		c.data = nil
	}
}

// take is the pump's: events of this call, in order.
func (c *call) take(events []C.lb_event) {
	last := &events[len(events)-1]
	ended := last.kind == eventDone
	c.mu.Lock()
	for i := range events {
		switch event := &events[i]; event.kind {
		case eventHead:
			c.code, c.head = int(event.code), string(bytesOf(event))
			if !ended { // Else there will be nothing to credit.
				c.window = eventNumber(event, fieldWindowBytes)
			}
		case eventData:
			if c.data == nil && c.err == nil {
				c.data = buffers.Get().(*bytes.Buffer)
			}
			if c.data != nil {
				c.data.Write(bytesOf(event))
			}
		case eventRoom:
			c.room = true
		case eventDone:
			cgo.Handle(event.user_data).Delete()
			if c.err == nil {
				c.err = io.EOF
				if event.status != C.LB_OK {
					c.err = errorOf(event)
				}
			}
		}
	}
	c.mu.Unlock()
	c.changed.Broadcast()
	if ended && c.onDone != nil {
		c.onDone(doneOf(last))
	}
}

func doneOf(event *C.lb_event) Done {
	count := func(field C.uint32_t) *int {
		var value C.uint64_t
		if C.lb_event_u64(event, field, &value) == 0 {
			return nil
		}
		return Some(int(value))
	}
	lasted := func(field C.uint32_t) time.Duration { return time.Duration(eventNumber(event, field)) }
	done := Done{nil, count(fieldTokensIn), count(fieldTokensOut), count(fieldTokensCached),
		int(eventNumber(event, fieldAttempts)), lasted(fieldQueuedNS), lasted(fieldFirstByteNS), lasted(fieldTotalNS),
		eventText(event, fieldUpstream), eventText(event, fieldModel), eventText(event, fieldRequestID)}
	if event.status != C.LB_OK {
		done.Err = errorOf(event)
	}
	return done
}

// give ends the call for its host at once; the engine follows. It does nothing to one that has ended.
func (c *call) give(err error) {
	c.mu.Lock()
	ended := c.err != nil
	if !ended {
		c.err = err
		c.drop()
	}
	c.mu.Unlock()
	if !ended {
		c.changed.Broadcast()
		c.engine.with(func() C.lb_status { return C.lb_call_cancel(c.engine.c, c.id) })
	}
	if c.source != nil {
		c.shut.Do(func() { c.source.Close() })
	}
}

var errLeft = &Error{Status: StatusCancelled}

func (c *call) leave() {
	c.stop()
	c.give(errLeft)
}

// RoundTrip sends a request through the engine. Its URL matters by its path only: where it goes is the engine's choice.
// An error is an *[Error]; answers of upstreams are answers, whatever their status.
func (e *Engine) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx := request.Context()
	c := &call{engine: e, stop: unwatched}
	c.changed.L = &c.mu
	streamed, err := c.start(request)
	if request.Body != nil && (!streamed || err != nil) {
		request.Body.Close()
	}
	if err != nil {
		return nil, err
	}
	if streamed {
		go c.send()
	}
	if ctx.Done() != nil {
		c.stop = context.AfterFunc(ctx, func() { c.give(ofContext(ctx)) })
	}
	c.mu.Lock()
	for c.code == 0 && c.err == nil {
		c.changed.Wait()
	}
	code, err := c.code, c.err
	c.mu.Unlock()
	if code == 0 {
		c.stop()
		return nil, err
	}
	return c.response(request, err != nil), nil
}

func unwatched() bool { return false }

// ofContext is the error of a context that has ended.
func ofContext(ctx context.Context) error {
	status := StatusCancelled
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		status = StatusDeadline
	}
	return &Error{Status: status, cause: context.Cause(ctx)}
}

// scratch is what is needed while a call starts, or while its body is sent.
type scratch struct {
	body    []byte
	head    bytes.Buffer
	options C.lb_call_options
	call    C.lb_call
	failure *C.lb_error
}

var scratches = sync.Pool{New: func() any { return &scratch{body: make([]byte, piece), failure: newFailure()} }}

// start hands the request over, with its body if that is known to fit; else it is streamed.
func (c *call) start(request *http.Request) (streamed bool, err error) {
	ctx, s := request.Context(), scratches.Get().(*scratch)
	defer scratches.Put(s)
	size := 0
	switch {
	case ctx.Err() != nil:
		return false, ofContext(ctx)
	case request.Body == nil || request.Body == http.NoBody:
	case request.ContentLength > 0 && request.ContentLength <= piece:
		if size, err = io.ReadFull(request.Body, s.body[:request.ContentLength]); err != nil {
			return false, &Error{Status: StatusCancelled, cause: err}
		}
	default:
		streamed, c.source = true, request.Body
	}
	s.write(request, streamed)
	s.options = C.lb_call_options{struct_size: C.sizeof_lb_call_options, user_data: C.uint64_t(cgo.NewHandle(c))}
	if streamed {
		s.options.flags = callAppend
	}
	if at, ok := ctx.Deadline(); ok {
		s.options.deadline_ms = C.uint32_t(min(max(milliseconds(time.Until(at)), 1), math.MaxUint32))
	}
	if options, ok := ctx.Value(optionsKey{}).(CallOptions); ok {
		c.onDone, s.options.window_bytes = options.OnDone, C.uint32_t(options.WindowBytes)
	}
	head := s.head.Bytes()
	status := c.engine.with(func() C.lb_status {
		return C.lb_call_start(c.engine.c, c.engine.queue, &s.options, chars(head), C.size_t(len(head)),
			unsafe.Pointer(&s.body[0]), C.size_t(size), &s.call, s.failure)
	})
	if status != C.LB_OK {
		cgo.Handle(s.options.user_data).Delete()
	}
	c.id = s.call
	return streamed, failed(status, s.failure)
}

// write prints the head. Names that are not valid, and line breaks in values, Header.Write leaves out.
func (s *scratch) write(request *http.Request, streamed bool) {
	s.head.Reset()
	method := request.Method
	if method == "" {
		method = http.MethodGet
	}
	for _, part := range [...]string{method, " ", request.URL.RequestURI(), " HTTP/1.1\r\n"} {
		s.head.WriteString(part)
	}
	request.Header.Write(&s.head)
	if streamed && request.ContentLength > 0 {
		fmt.Fprintf(&s.head, "content-length: %d\r\n", request.ContentLength)
	}
}

// send brings a request's body, a piece at a time, each when it is welcome.
func (c *call) send() {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	defer c.shut.Do(func() { c.source.Close() })
	for last := C.int32_t(0); last == 0; {
		c.mu.Lock()
		for !c.room && c.err == nil {
			c.changed.Wait()
		}
		c.room = false
		ended := c.err != nil
		c.mu.Unlock()
		if ended {
			return
		}
		n, err := c.source.Read(s.body)
		if err == io.EOF {
			last = 1
		} else if err != nil {
			c.give(&Error{Status: StatusCancelled, cause: err})
			return
		}
		if c.engine.with(func() C.lb_status {
			return C.lb_call_append(c.engine.c, c.id, unsafe.Pointer(&s.body[0]), C.size_t(n), last)
		}) != C.LB_OK {
			return
		}
	}
}

func (c *call) response(request *http.Request, ended bool) *http.Response {
	fields := c.engine.names.header(c.head)
	left := &body{call: c}
	status := "200 OK"
	if c.code != http.StatusOK {
		status = strconv.Itoa(c.code) + " " + http.StatusText(c.code)
	}
	response := &http.Response{Status: status, StatusCode: c.code,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: request, Header: fields, ContentLength: -1,
		Body: left}
	if length := fields["Content-Length"]; length != nil {
		response.ContentLength, _ = strconv.ParseInt(length[0], 10, 64) // The core has read it, too.
	}
	if ended {
		c.stop() // Nothing is left to cancel.
	} else {
		left.guard = onCollected(left)
	}
	return response
}

// body is a response's body. One that is forgotten is cancelled when it is collected.
type body struct {
	call  *call
	guard guard
}

func (b *body) Read(p []byte) (n int, err error) {
	c := b.call
	var credit uint64
	c.mu.Lock()
	for c.data == nil && c.err == nil && len(p) > 0 {
		c.changed.Wait()
	}
	if c.data != nil {
		n, _ = c.data.Read(p)
	}
	if c.data == nil || c.data.Len() == 0 {
		err = c.err
		c.drop()
	}
	c.owed += uint64(n)
	if c.err == nil && c.owed > 0 && 2*c.owed >= c.window { // By half windows: nothing stops, and few calls are made.
		credit, c.owed = c.owed, 0
	}
	c.mu.Unlock()
	if credit > 0 {
		c.engine.with(func() C.lb_status { return C.lb_call_credit(c.engine.c, c.id, C.uint64_t(credit)) })
	}
	return n, err
}

// Close cancels the call if it has not ended.
func (b *body) Close() error {
	b.guard.Stop()
	b.call.leave()
	return nil
}
