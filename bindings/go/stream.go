package lb

import (
	"io"
	"net/http"
)

// A Stream is an answer by server-sent events, each delivered by itself: for those who ask without an SDK.
type Stream struct {
	Response *http.Response // Its body is the stream's.
	body     *body
	data     []byte
	err      error
}

// Stream sends a request that asks for a stream and waits for the head of its answer. An answer that is none, an error
// of an upstream, comes as the bytes it is.
func (e *Engine) Stream(request *http.Request) (*Stream, error) {
	c, err := e.start(request, deliverEvents)
	if err != nil {
		return nil, err
	}
	response, err := c.response(request)
	if err != nil {
		return nil, err
	}
	return &Stream{Response: response, body: response.Body.(*body)}, nil
}

// Next waits for the next event; false at the end, which Err explains.
func (s *Stream) Next() bool {
	for s.err == nil {
		var ok bool
		s.data, ok, s.err = s.body.call.next(s.data)
		if ok {
			return true
		}
		if s.err == nil {
			<-s.body.call.changed
		}
	}
	return false
}

// Data is the data of the event, until the next one.
func (s *Stream) Data() []byte { return s.data }

// Err is why the stream ended; nil for its true end.
func (s *Stream) Err() error {
	if s.err == io.EOF {
		return nil
	}
	return s.err
}

// Close cancels the call if it has not ended.
func (s *Stream) Close() error { return s.body.Close() }
