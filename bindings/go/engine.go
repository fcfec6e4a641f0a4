package lb

/*
#include <lb.h>
#include <stdlib.h>
*/
import "C"

import (
	"context"
	"log/slog"
	"math"
	"net/http"
	"os"
	"runtime"
	"runtime/cgo"
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
	names  names

	door
	c     *C.lb_engine
	queue *C.lb_queue
}

// A door is held open while C works behind it, and shut before what is there is freed.
type door struct {
	life sync.RWMutex
	shut bool
}

func (d *door) with(f func() C.lb_status) C.lb_status {
	d.life.RLock()
	defer d.life.RUnlock()
	if d.shut {
		return C.LB_CLOSED
	}
	return f()
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
	if C.lb_abi() != lbABI {
		return nil, failed(C.LB_UNSUPPORTED, nil)
	}
	o := C.lb_engine_options{struct_size: C.sizeof_lb_engine_options, seed: C.uint64_t(options.Seed),
		calls_max: C.uint32_t(options.CallsMax)}
	if options.Secrets {
		o.flags |= engineSecrets
	}
	if options.NoListen {
		o.flags |= engineNoListen
	}
	if options.Log != nil { // Levels of slog stand four apart, and the core counts from 1 for errors.
		o.log_level = C.uint32_t(min(4, max(1, 3-int(math.Floor(float64(options.LogLevel)/4)))))
	}
	e := &Engine{log: options.Log, closed: make(chan struct{})}
	failure := newFailure()
	status := C.lb_engine_open(&o, chars(document), C.size_t(len(document)), &e.c, failure)
	if status == C.LB_OK {
		status = C.lb_queue_open(e.c, nil, &e.queue, failure)
	}
	if err = failed(status, failure); err == nil {
		err = e.startPump()
	}
	if err != nil {
		e.free()
		return nil, err
	}
	return e, nil
}

func (e *Engine) free() {
	e.life.Lock()
	defer e.life.Unlock()
	C.lb_queue_close(e.queue)
	C.lb_engine_free(e.c)
	e.c, e.queue, e.shut = nil, nil, true
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
	go e.pump(os.NewFile(uintptr(fd), "lb-queue"))
	return nil
}

// A batch is what is taken at a time: a busy turn of the engine makes a few hundred events.
type batch [256]C.lb_event

// pump takes all events, in batches, into the buffers of their calls. It waits for nothing but the queue: what a call
// may hold is bounded by its window.
func (e *Engine) pump(bell *os.File) {
	defer close(e.closed)
	defer bell.Close()
	conn, _ := bell.SyscallConn() // It fails for files that are closed.
	// In memory of C's, which cgo need not look through.
	events := (*batch)(C.calloc(1, C.size_t(unsafe.Sizeof(batch{}))))
	defer C.free(unsafe.Pointer(events))
	var count C.int32_t
	poll := func(uintptr) bool {
		count = C.lb_queue_poll(e.queue, &events[0], C.size_t(len(events)), 0)
		return count != 0
	}
	for conn.Read(poll) == nil && count > 0 {
		for rest := events[:count]; len(rest) > 0; {
			first, n := &rest[0], 1
			for first.user_data != 0 && n < len(rest) && rest[n].user_data == first.user_data {
				n++
			}
			switch {
			case first.user_data != 0: // A run of one call.
				cgo.Handle(first.user_data).Value().(*call).take(rest[:n])
			case first.kind == eventClosed:
				return
			case first.kind == eventLog && e.log != nil:
				e.log(slog.Level(12-4*int(first.code)), string(bytesOf(first)))
			}
			rest = rest[n:]
		}
		runtime.Gosched() // Those that were waiting go first; meanwhile more events come, and the bell need not ring.
	}
}

// Close stops taking calls and waits for those in flight; when ctx ends before they do, they are cancelled, and its
// error is returned. What was delivered can still be read. It is harmless on an engine that is closed.
func (e *Engine) Close(ctx context.Context) (err error) {
	drain := func(ms C.uint32_t) { e.with(func() C.lb_status { return C.lb_engine_close(e.c, ms) }) }
	drain(math.MaxUint32)
	select {
	case <-e.closed:
	case <-ctx.Done():
		err = ctx.Err()
		drain(0)
		<-e.closed
	}
	e.free()
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
	return failed(e.with(func() C.lb_status {
		return C.lb_engine_configure(e.c, chars(document), C.size_t(len(document)), failure)
	}), failure)
}

// Mark takes a deployment out for so long, or, with 0, back in at once with all that was held against it forgotten. An
// empty model is all of its models.
func (e *Engine) Mark(deployment, model string, out time.Duration) error {
	failure := newFailure()
	return failed(e.with(func() C.lb_status {
		name, nameLen := text(deployment)
		of, ofLen := text(model)
		return C.lb_engine_mark(e.c, name, nameLen, of, ofLen, C.uint64_t(milliseconds(out)), failure)
	}), failure)
}

// Address is where a listener is bound, as "host:port"; "" is the first.
func (e *Engine) Address(listener string) (string, error) {
	out := make([]byte, 512)
	size := e.with(func() C.lb_status {
		name, nameLen := text(listener)
		return C.lb_engine_address(e.c, name, nameLen, chars(out), C.size_t(len(out)))
	})
	return string(out[:max(size, 0)]), failed(min(size, C.LB_OK), nil)
}

// Stats is a snapshot as JSON; "" once the engine is closed.
func (e *Engine) Stats() string { return e.snapshot(0) }

// Metrics is the same in the text format of Prometheus.
func (e *Engine) Metrics() string { return e.snapshot(1) }

func (e *Engine) snapshot(format C.uint32_t) (out string) {
	e.with(func() C.lb_status {
		var size C.size_t
		out = owned(C.lb_engine_stats(e.c, format, &size), size)
		return C.LB_OK
	})
	return out
}

// milliseconds rounds up.
func milliseconds(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}
