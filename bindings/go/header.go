package lb

import (
	"net/http"
	"strings"
	"sync/atomic"
)

// How many names are remembered: some twenty come from each provider.
const namesMax = 256

// names remembers how net/http spells the names of header lines: the same few come with every answer.
type names struct {
	known atomic.Pointer[map[string]string]
}

func (n *names) spell(name string) string {
	var known map[string]string
	at := n.known.Load()
	if at != nil {
		known = *at
	}
	if spelled, ok := known[name]; ok {
		return spelled
	}
	name = strings.Clone(name) // Of the head that it stands in nothing is kept.
	spelled := http.CanonicalHeaderKey(name)
	if len(known) < namesMax {
		more := map[string]string{name: spelled}
		for name, spelled := range known {
			more[name] = spelled
		}
		n.known.CompareAndSwap(at, &more) // Another goroutine may have been quicker; then it is the next answer's turn.
	}
	return spelled
}

// header reads the lines of a head: "name: value\r\n" each.
func (n *names) header(head string) http.Header {
	values := make([]string, strings.Count(head, "\n"))
	fields := make(http.Header, len(values))
	for i := range values {
		end := strings.IndexByte(head, '\n')
		name, value, _ := strings.Cut(head[:end-1], ": ")
		head, name, values[i] = head[end+1:], n.spell(name), value
		if had := fields[name]; had != nil {
			fields[name] = append(had, value)
		} else {
			fields[name] = values[i : i+1 : i+1]
		}
	}
	return fields
}
