package lb

/*
#include <lb.h>
*/
import "C"

import (
	"context"
	"time"
)

// An Error is how a call ended that did not end well, or why a function did nothing. Its texts are the core's. Find it
// with [errors.As]; [errors.Is] finds [context.Canceled] and [context.DeadlineExceeded] in it where they are the cause.
type Error struct {
	Status  Status
	Code    int    // As an HTTP status, for calls.
	Where   string // A JSON pointer into the configuration.
	Message string
	// How long until the same call makes sense again; 0 when that is not known. Of [Balancer.Pick]: 0 when all have been
	// tried and that was it, the largest Duration until another pick is reported.
	RetryAfter time.Duration
	// Of [Balancer.Pick]: all have been tried; ask again after RetryAfter, with none tried.
	Again     bool
	Upstream  string // The deployment that was asked last.
	RequestID string
	cause     error
}

func (e *Error) Error() string {
	switch {
	case e.Message == "":
		return "lb: " + e.Status.String()
	case e.Where != "":
		return "lb: " + e.Where + ": " + e.Message
	}
	return "lb: " + e.Message
}

// Unwrap is why the host gave up: what [context.Cause] says, or the error of a request body.
func (e *Error) Unwrap() error { return e.cause }

// Is makes cancellation and deadlines those of package context.
func (e *Error) Is(target error) bool {
	return e.Status == StatusCancelled && target == context.Canceled ||
		e.Status == StatusDeadline && target == context.DeadlineExceeded
}

// Timeout makes it a timeout for net/http and package net.
func (e *Error) Timeout() bool { return e.Status == StatusDeadline }

// Retryable says whether the same call may succeed later.
func (e *Error) Retryable() bool { return C.lb_status_retryable(C.lb_status(e.Status)) != 0 }

// String is what the status means, in words.
func (s Status) String() string { return C.GoString(C.lb_status_text(C.lb_status(s))) }

// Name is the status as lb.h calls it: "DEADLINE".
func (s Status) Name() string { return C.GoString(C.lb_status_name(C.lb_status(s))) }

func newFailure() *C.lb_error { return &C.lb_error{struct_size: C.sizeof_lb_error} }

// failed is nil for success; a failure that was not filled says nothing.
func failed(status C.lb_status, failure *C.lb_error) error {
	if status == C.LB_OK {
		return nil
	}
	err := &Error{Status: Status(status)}
	if failure != nil && failure.status == status {
		err.Where, err.Message = C.GoString(&failure.where[0]), C.GoString(&failure.message[0])
	}
	return err
}

func eventText(event *C.lb_event, field C.uint32_t) string {
	var at *C.char
	var size C.size_t
	C.lb_event_text(event, field, &at, &size)
	return C.GoStringN(at, C.int(size))
}

// eventNumber is 0 for a field that the event has not.
func eventNumber(event *C.lb_event, field C.uint32_t) uint64 {
	var value C.uint64_t
	C.lb_event_u64(event, field, &value)
	return uint64(value)
}

// errorOf is what an event of kind DONE says.
func errorOf(event *C.lb_event) *Error {
	return &Error{
		Status:     Status(event.status),
		Code:       int(event.code),
		Message:    eventText(event, fieldMessage),
		RetryAfter: time.Duration(eventNumber(event, fieldRetryAfterMS)) * time.Millisecond,
		Upstream:   eventText(event, fieldUpstream),
		RequestID:  eventText(event, fieldRequestID),
	}
}
