package lb

/*
#include <lb.h>
*/
import "C"

import (
	"bytes"
	"math"
	"net/http"
	"runtime"
	"time"
)

// A Balancer says where to send a request and what to do when that failed, for those who keep their own HTTP client. It
// has no goroutine and no socket, and is safe for use by any number of goroutines.
type Balancer struct {
	start time.Time // Its clock counts from a second before.
	door
	c *C.lb_balancer
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
	FirstContent                      time.Duration // From the pick; 0: not known.
	Delivered                         bool          // The caller has had some of the answer: there will be no other attempt.
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
	if err = failed(C.lb_balancer_open(&o, chars(document), C.size_t(len(document)), &b.c, failure), failure); err != nil {
		return nil, err
	}
	return b, nil
}

func (b *Balancer) now() C.uint64_t { return C.uint64_t(time.Since(b.start)) }

// Close frees the balancer with its open picks.
func (b *Balancer) Close() error {
	b.life.Lock()
	defer b.life.Unlock()
	C.lb_balancer_free(b.c)
	b.c, b.shut = nil, true
	return nil
}

// Configure replaces the whole configuration, or changes nothing and says why.
func (b *Balancer) Configure(config Document) error {
	document, err := config.document()
	if err != nil {
		return err
	}
	failure := newFailure()
	return failed(b.with(func() C.lb_status {
		return C.lb_balancer_configure(b.c, chars(document), C.size_t(len(document)), b.now(), failure)
	}), failure)
}

// Pick names a target. An error with StatusLimited or StatusNoUpstream says in RetryAfter and Again when to ask again.
func (b *Balancer) Pick(ask *Ask) (pick *Pick, err error) {
	out := C.lb_pick{struct_size: C.sizeof_lb_pick}
	status := b.lend(ask, func(c *C.lb_ask) C.lb_status {
		status := C.lb_balancer_pick(b.c, c, b.now(), &out)
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

// lend runs f with the ask as C has it.
func (b *Balancer) lend(ask *Ask, f func(*C.lb_ask) C.lb_status) C.lb_status {
	var pin runtime.Pinner
	defer pin.Unpin()
	c := C.lb_ask{struct_size: C.sizeof_lb_ask, characters: C.uint64_t(ask.Characters), tokens_in: C.uint64_t(ask.TokensIn),
		tokens_out_max: C.uint64_t(ask.TokensOutMax), choices: C.uint32_t(ask.Choices), images: C.uint32_t(ask.Images),
		attempts: C.uint32_t(ask.Attempts), tried_count: C.size_t(len(ask.Tried))}
	c.model, c.model_len = pinned(&pin, []byte(ask.Model))
	c.caller, c.caller_len = pinned(&pin, []byte(ask.Caller))
	c.affinity, c.affinity_len = pinned(&pin, []byte(ask.Affinity))
	if len(ask.Tried) > 0 {
		pin.Pin(&ask.Tried[0])
		c.tried = (*C.uint32_t)(&ask.Tried[0])
	}
	if ask.Retry {
		c.flags |= askRetry
	}
	if !ask.Deadline.IsZero() {
		c.deadline_ns = C.uint64_t(max(1, ask.Deadline.Sub(b.start)))
	}
	return b.with(func() C.lb_status { return f(&c) })
}

// pinned lends bytes to a struct of C's.
func pinned(pin *runtime.Pinner, b []byte) (*C.char, C.size_t) {
	if len(b) > 0 {
		pin.Pin(&b[0])
	}
	return chars(b), C.size_t(len(b))
}

// Report settles a pick and says what to do next. A pick can be reported once.
func (b *Balancer) Report(pick *Pick, outcome *Outcome) (Next, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	var lines bytes.Buffer
	outcome.Header.Write(&lines)
	c := C.lb_outcome{struct_size: C.sizeof_lb_outcome, kind: C.uint32_t(outcome.Kind),
		http_status: C.uint32_t(outcome.HTTPStatus)}
	c.head, c.head_len = pinned(&pin, lines.Bytes())
	c.body, c.body_len = pinned(&pin, outcome.Body)
	known := func(flag C.uint32_t, value *int, out *C.uint64_t) {
		if value != nil {
			c.known |= flag
			*out = C.uint64_t(*value)
		}
	}
	known(knownTokensIn, outcome.TokensIn, &c.tokens_in)
	known(knownTokensOut, outcome.TokensOut, &c.tokens_out)
	known(knownTokensCached, outcome.TokensCached, &c.tokens_cached)
	if outcome.FirstContent > 0 {
		c.known |= knownFirstContent
		c.first_content_ns = C.uint64_t(outcome.FirstContent)
	}
	if outcome.Delivered {
		c.delivered = 1
	}
	next := C.lb_next{struct_size: C.sizeof_lb_next}
	status := b.with(func() C.lb_status { return C.lb_balancer_report(b.c, pick.id, &c, b.now(), &next) })
	return Next{NextKind(next.kind), time.Duration(next.out_ns)}, failed(status, nil)
}

// Explain says why a pick would go where it goes, as one line of JSON, and changes nothing; "" when no route serves the
// model.
func (b *Balancer) Explain(ask *Ask) (out string) {
	b.lend(ask, func(c *C.lb_ask) C.lb_status {
		var size C.size_t
		out = owned(C.lb_balancer_explain(b.c, c, b.now(), &size), size)
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
	return failed(b.with(func() C.lb_status {
		name, nameLen := text(deployment)
		of, ofLen := text(model)
		return C.lb_balancer_mark(b.c, name, nameLen, of, ofLen, C.uint64_t(milliseconds(out)), b.now(), failure)
	}), failure)
}
