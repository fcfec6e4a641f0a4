package lb

/*
#include "shim.h"
*/
import "C"

import (
	"bytes"
	"math"
	"net/http"
	"sync"
	"time"
	"unsafe"
)

// A Balancer says where to send a request and what to do when that failed, for those who keep their own HTTP client. It
// has no goroutine and no socket, and is safe for use by any number of goroutines.
type Balancer struct {
	start time.Time // Its clock counts from a second before.
	life  sync.RWMutex
	c     *C.lb_balancer
}

// BalancerOptions are of a [Balancer]; nil and the zero value are the core's defaults.
type BalancerOptions struct {
	Secrets  bool   // The configuration may name environment variables and files that hold secrets.
	Seed     uint64 // Of every random choice; 0 takes one from the system.
	PicksMax int    // That have not been reported.
}

// An Ask is what a call needs.
type Ask struct {
	Model        string
	Caller       string // Who is counted.
	Affinity     string // Session, or the part of the prompt that a cache would serve.
	Characters   int    // Of the prompt.
	TokensIn     int    // Of the prompt, where they have been counted.
	TokensOutMax int    // That the call allows; 0: it does not say.
	Choices      int
	Images       int
	Tried        []uint32 // Pick.Target of this call's attempts that must not be repeated.
	Attempts     int      // Of this call so far; 0: as many as were tried.
	Retry        bool     // Not the first pick of its call, also where nothing is in Tried.
	Deadline     time.Time
}

// A Pick is a reservation, until it is reported.
type Pick struct {
	Target     uint32 // For Ask.Tried.
	Deployment string
	URL        string // Without a slash at its end.
	Key        string // A secret.
	Model      string // What the deployment calls the model; "": as it was asked for.
	id         C.uint64_t
}

// An Outcome is how a picked request ended. Numbers that are nil are not known.
type Outcome struct {
	Kind                              OutcomeKind
	HTTPStatus                        int
	Header                            http.Header // Retry-After and limits are read.
	Body                              []byte      // Of an error; its first kilobytes will do.
	TokensIn, TokensOut, TokensCached *int
	FirstContent                      *time.Duration // From the pick.
	Delivered                         bool           // The caller has had some of the answer: there will be no other attempt.
}

// Next is what to do after a report.
type Next struct {
	Kind NextKind
	Out  time.Duration // For how long what failed is out of rotation; 0: it is not.
}

// OpenBalancer opens a balancer with a configuration, which is that of an [Engine].
func OpenBalancer(config Document, options *BalancerOptions) (*Balancer, error) {
	document, err := config.document()
	if err != nil {
		return nil, err
	}
	if options == nil {
		options = &BalancerOptions{}
	}
	b := &Balancer{start: time.Now().Add(-time.Second)}
	o := C.lb_balancer_options{struct_size: C.sizeof_lb_balancer_options, seed: C.uint64_t(options.Seed), now_ns: b.now(),
		unix_ns: C.uint64_t(time.Now().UnixNano()), picks_max: C.uint32_t(options.PicksMax)}
	if options.Secrets {
		o.flags |= engineSecrets
	}
	failure := newFailure()
	if err := failure.of(C.lb_balancer_open(&o, chars(document), C.size_t(len(document)), &b.c, &failure.c)); err != nil {
		return nil, err
	}
	return b, nil
}

func (b *Balancer) now() C.uint64_t { return C.uint64_t(time.Since(b.start)) }

func (b *Balancer) with(f func() C.lb_status) C.lb_status {
	b.life.RLock()
	defer b.life.RUnlock()
	if b.c == nil {
		return C.LB_CLOSED
	}
	return f()
}

// Close frees the balancer with its open picks.
func (b *Balancer) Close() error {
	b.life.Lock()
	defer b.life.Unlock()
	C.lb_balancer_free(b.c)
	b.c = nil
	return nil
}

// Configure replaces the whole configuration, or changes nothing and says why.
func (b *Balancer) Configure(config Document) error {
	document, err := config.document()
	if err != nil {
		return err
	}
	failure := newFailure()
	return failure.of(b.with(func() C.lb_status {
		return C.lb_balancer_configure(b.c, chars(document), C.size_t(len(document)), b.now(), &failure.c)
	}))
}

// Pick names a target. An error with StatusLimited or StatusNoUpstream says in RetryAfter and Again when to ask again.
func (b *Balancer) Pick(ask *Ask) (*Pick, error) {
	out := C.lb_pick{struct_size: C.sizeof_lb_pick}
	var pick *Pick
	status := b.with(func() C.lb_status {
		status := b.ask(ask, &out, nil, nil)
		if status == C.LB_OK { // The texts are lent until the pick is reported.
			pick = &Pick{uint32(out.target), C.GoString(out.deployment), C.GoString(out.url), C.GoString(out.key),
				C.GoString(out.model), out.pick}
		}
		return status
	})
	if status == C.LB_OK {
		return pick, nil
	}
	wait := time.Duration(min(uint64(out.wait_ns), math.MaxInt64))
	return nil, &Error{Status: Status(status), RetryAfter: wait, Again: out.again != 0}
}

// ask explains where there is a place for it, else picks.
func (b *Balancer) ask(ask *Ask, out *C.lb_pick, why **C.char, size *C.size_t) C.lb_status {
	model, modelLen := text(ask.Model)
	caller, callerLen := text(ask.Caller)
	affinity, affinityLen := text(ask.Affinity)
	var flags C.uint32_t
	if ask.Retry {
		flags |= askRetry
	}
	var deadline C.uint64_t
	if !ask.Deadline.IsZero() {
		deadline = C.uint64_t(max(1, ask.Deadline.Sub(b.start)))
	}
	return C.go_pick(b.c, flags, model, modelLen, caller, callerLen, affinity, affinityLen, C.uint64_t(ask.Characters),
		C.uint64_t(ask.TokensIn), C.uint64_t(ask.TokensOutMax), C.uint32_t(ask.Choices), C.uint32_t(ask.Images),
		(*C.uint32_t)(unsafe.SliceData(ask.Tried)), C.size_t(len(ask.Tried)), C.uint32_t(ask.Attempts), deadline, b.now(),
		out, why, size)
}

// Report settles a pick and says what to do next. A pick can be reported once.
func (b *Balancer) Report(pick *Pick, outcome *Outcome) (Next, error) {
	var lines bytes.Buffer
	outcome.Header.Write(&lines)
	var known C.uint32_t
	number := func(flag C.uint32_t, value *int) C.uint64_t {
		if value == nil {
			return 0
		}
		known |= flag
		return C.uint64_t(*value)
	}
	in, out := number(knownTokensIn, outcome.TokensIn), number(knownTokensOut, outcome.TokensOut)
	cached := number(knownTokensCached, outcome.TokensCached)
	var first C.uint64_t
	if outcome.FirstContent != nil {
		known |= knownFirstContent
		first = C.uint64_t(*outcome.FirstContent)
	}
	var delivered C.uint32_t
	if outcome.Delivered {
		delivered = 1
	}
	next := C.lb_next{struct_size: C.sizeof_lb_next}
	status := b.with(func() C.lb_status {
		return C.go_report(b.c, pick.id, C.uint32_t(outcome.Kind), C.uint32_t(outcome.HTTPStatus), known,
			chars(lines.Bytes()), C.size_t(lines.Len()), unsafe.Pointer(unsafe.SliceData(outcome.Body)),
			C.size_t(len(outcome.Body)), in, out, cached, first, delivered, b.now(), &next)
	})
	return Next{NextKind(next.kind), time.Duration(next.out_ns)}, statusError(status)
}

// Explain says why a pick would go where it goes, as one line of JSON, and changes nothing; "" when no route serves the
// model.
func (b *Balancer) Explain(ask *Ask) (out string) {
	b.with(func() C.lb_status {
		var why *C.char
		var size C.size_t
		if b.ask(ask, nil, &why, &size) == C.LB_OK {
			out = owned(why, size)
		}
		return C.LB_OK
	})
	return out
}

// Stats is what is counted, as JSON; "" once the balancer is closed.
func (b *Balancer) Stats() (out string) {
	b.with(func() C.lb_status {
		var size C.size_t
		out = owned(C.lb_balancer_stats(b.c, b.now(), &size), size)
		return C.LB_OK
	})
	return out
}

// Mark is as [Engine.Mark], at once.
func (b *Balancer) Mark(deployment, model string, out time.Duration) error {
	failure := newFailure()
	return failure.of(b.with(func() C.lb_status {
		name, nameLen := text(deployment)
		of, ofLen := text(model)
		return C.lb_balancer_mark(b.c, name, nameLen, of, ofLen, C.uint64_t(milliseconds(out)), b.now(), &failure.c)
	}))
}
