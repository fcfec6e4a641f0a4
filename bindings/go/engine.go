package lb

/*
#include "shim.h"
*/
import "C"

import (
	"context"
	"log/slog"
	"math"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// Options of an [Engine]; nil and the zero value are the core's defaults.
type Options struct {
	Secrets  bool   // The configuration may name environment variables and files that hold secrets.
	NoListen bool   // What it says under "listen" is not opened.
	Seed     uint64 // Of every random choice; 0 takes one from the system.
	CallsMax int    // Calls in flight.
	// Takes lines of JSON of at least LogLevel, on the goroutine that takes all events: it must not wait.
	Log      func(level slog.Level, line string)
	LogLevel slog.Level
}

// An Engine is an [http.RoundTripper] that spreads calls over the deployments of its configuration. It is safe for use
// by any number of goroutines.
type Engine struct {
	log    func(level slog.Level, line string)
	closed chan struct{} // By the pump, after its last event.

	life  sync.RWMutex // Held while C has the two below.
	c     *C.lb_engine
	queue *C.lb_queue

	mu    sync.Mutex
	calls []*call // By user_data; the first is nobody's.
	free  []uint32
}

var _ http.RoundTripper = (*Engine)(nil)

// Open opens an engine with its listeners.
func Open(config Document, options *Options) (*Engine, error) {
	document, err := config.document()
	if err != nil {
		return nil, err
	}
	if options == nil {
		options = &Options{}
	}
	o := C.lb_engine_options{struct_size: C.sizeof_lb_engine_options, seed: C.uint64_t(options.Seed),
		calls_max: C.uint32_t(options.CallsMax)}
	if options.Secrets {
		o.flags |= engineSecrets
	}
	if options.NoListen {
		o.flags |= engineNoListen
	}
	if options.Log != nil {
		o.log_level = C.uint32_t(min(4, max(1, 3-int(math.Floor(float64(options.LogLevel)/4)))))
	}
	if C.lb_abi() != lbABI {
		return nil, &Error{Status: StatusUnsupported}
	}
	e := &Engine{log: options.Log, closed: make(chan struct{}), calls: []*call{nil}}
	failure := newFailure()
	if err := failure.of(C.lb_engine_open(&o, chars(document), C.size_t(len(document)), &e.c, &failure.c)); err != nil {
		return nil, err
	}
	if err = failure.of(C.lb_queue_open(e.c, nil, &e.queue, &failure.c)); err == nil {
		err = e.startPump()
	}
	if err != nil {
		C.lb_queue_close(e.queue)
		C.lb_engine_free(e.c)
		return nil, err
	}
	return e, nil
}

// startPump gives netpoll a descriptor of its own: the queue closes its one itself.
func (e *Engine) startPump() error {
	syscall.ForkLock.RLock()
	fd, err := syscall.Dup(int(C.lb_queue_fd(e.queue)))
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return os.NewSyscallError("dup", err)
	}
	bell := os.NewFile(uintptr(fd), "lb-queue")
	conn, err := bell.SyscallConn()
	if err != nil {
		bell.Close()
		return err
	}
	go e.pump(bell, conn)
	return nil
}

// pump takes all events, in batches, into the buffers of their calls. It waits for nothing but the queue: what a call
// may hold is bounded by its window.
func (e *Engine) pump(bell *os.File, conn syscall.RawConn) {
	defer close(e.closed)
	defer bell.Close()
	batch := (*C.go_batch)(C.malloc(C.sizeof_go_batch))
	defer C.free(unsafe.Pointer(batch))
	var calls [C.LB_GO_BATCH]*call
	count := 0
	poll := func(uintptr) bool {
		count = int(C.go_poll(e.queue, batch))
		return count != 0
	}
	for conn.Read(poll) == nil && count > 0 {
		events := batch.events[:count]
		e.mu.Lock()
		for i := range events {
			calls[i] = e.calls[events[i].user_data]
			if events[i].kind == eventDone {
				e.release(uint32(events[i].user_data))
			}
		}
		e.mu.Unlock()
		for i := 0; i < count; {
			if calls[i] == nil {
				if e.own(&events[i]) {
					return
				}
				i++
				continue
			}
			end := i + 1
			for end < count && calls[end] == calls[i] {
				end++
			}
			calls[i].take(events[i:end], batch.windows[i:end])
			i = end
		}
		clear(calls[:count])
	}
}

// own takes an event that is of no call; true for the last.
func (e *Engine) own(event *C.lb_event) bool {
	if event.kind == eventLog && e.log != nil {
		e.log(slog.Level(12-4*int(event.code)), string(bytesOf(event)))
	}
	return event.kind == eventClosed
}

// enter gives a call its place, which it has until DONE.
func (e *Engine) enter(c *call) uint32 {
	e.mu.Lock()
	defer e.mu.Unlock()
	if n := len(e.free); n > 0 {
		at := e.free[n-1]
		e.free = e.free[:n-1]
		e.calls[at] = c
		return at
	}
	e.calls = append(e.calls, c)
	return uint32(len(e.calls) - 1)
}

func (e *Engine) release(at uint32) {
	e.calls[at] = nil
	e.free = append(e.free, at)
}

// with runs f while the engine is there.
func (e *Engine) with(f func() C.lb_status) C.lb_status {
	e.life.RLock()
	defer e.life.RUnlock()
	if e.c == nil {
		return C.LB_CLOSED
	}
	return f()
}

// Close stops taking calls and waits for those in flight; when ctx ends before they do, they are cancelled, and its
// error is returned. What was delivered can still be read. It is harmless on an engine that is closed.
func (e *Engine) Close(ctx context.Context) error {
	drain := func(ms C.uint32_t) {
		e.with(func() C.lb_status { return C.lb_engine_close(e.c, ms) })
	}
	drain(math.MaxUint32)
	var err error
	select {
	case <-e.closed:
	case <-ctx.Done():
		err = ctx.Err()
		drain(0)
		<-e.closed
	}
	e.life.Lock()
	defer e.life.Unlock()
	C.lb_queue_close(e.queue)
	C.lb_engine_free(e.c)
	e.c, e.queue = nil, nil
	return err
}

// Configure replaces the whole configuration, or changes nothing and says why. Calls in flight keep the one they began
// with.
func (e *Engine) Configure(config Document) error {
	document, err := config.document()
	if err != nil {
		return err
	}
	failure := newFailure()
	return failure.of(e.with(func() C.lb_status {
		return C.lb_engine_configure(e.c, chars(document), C.size_t(len(document)), &failure.c)
	}))
}

// Mark takes a deployment out for so long, or, with 0, back in at once with all that was held against it forgotten. An
// empty model is all of its models.
func (e *Engine) Mark(deployment, model string, out time.Duration) error {
	failure := newFailure()
	return failure.of(e.with(func() C.lb_status {
		name, nameLen := text(deployment)
		of, ofLen := text(model)
		return C.lb_engine_mark(e.c, name, nameLen, of, ofLen, C.uint64_t(milliseconds(out)), &failure.c)
	}))
}

// Address is where a listener is bound, as "host:port"; "" is the first.
func (e *Engine) Address(listener string) (string, error) {
	out := make([]byte, 512)
	var size C.int32_t
	status := e.with(func() C.lb_status {
		name, nameLen := text(listener)
		size = C.lb_engine_address(e.c, name, nameLen, chars(out), C.size_t(len(out)))
		return min(C.lb_status(size), 0)
	})
	if status != C.LB_OK {
		return "", statusError(status)
	}
	return string(out[:min(int(size), len(out)-1)]), nil
}

// Stats is a snapshot as JSON; "" once the engine is closed.
func (e *Engine) Stats() string { return e.snapshot(0) }

// Metrics is the same in the text format of Prometheus.
func (e *Engine) Metrics() string { return e.snapshot(1) }

func (e *Engine) snapshot(format C.uint32_t) (out string) {
	e.with(func() C.lb_status {
		var size C.size_t
		if c := C.lb_engine_stats(e.c, format, &size); c != nil {
			out = owned(c, size)
		}
		return C.LB_OK
	})
	return out
}

// milliseconds rounds up.
func milliseconds(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}
