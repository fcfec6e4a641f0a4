package lb

/*
#include "shim.h"
*/
import "C"

import (
	"context"
	"time"
	"unsafe"
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

type failure struct{ c C.lb_error }

func newFailure() *failure {
	return &failure{C.lb_error{struct_size: C.sizeof_lb_error}}
}

// of is nil for success.
func (f *failure) of(status C.lb_status) error {
	if status == C.LB_OK {
		return nil
	}
	return &Error{Status: Status(status), Where: C.GoString(&f.c.where[0]), Message: C.GoString(&f.c.message[0])}
}

func statusError(status C.lb_status) error {
	if status == C.LB_OK {
		return nil
	}
	return &Error{Status: Status(status)}
}

func eventText(event *C.lb_event, field C.uint32_t) string {
	var at *C.char
	var size C.size_t
	if C.lb_event_text(event, field, &at, &size) == 0 {
		return ""
	}
	return C.GoStringN(at, C.int(size))
}

func eventNumber(event *C.lb_event, field C.uint32_t) uint64 {
	var value C.uint64_t
	C.lb_event_u64(event, field, &value)
	return uint64(value)
}

// errorOf is what an event of kind DONE or ATTEMPT says.
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

func bytesOf(event *C.lb_event) []byte {
	return unsafe.Slice((*byte)(event.data), int(event.size))
}
