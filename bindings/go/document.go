package lb

/*
#include <lb.h>
*/
import "C"

import (
	"encoding/json"
	"unsafe"
)

// A Document is a configuration: a [Config], or [Text] that is YAML or JSON.
type Document interface{ document() ([]byte, error) }

// Text is a configuration as YAML or JSON, the same that "lb serve" takes.
type Text string

func (t Text) document() ([]byte, error) { return []byte(t), nil }

func (c Config) document() ([]byte, error) { return json.Marshal(c) }

// A Secret is a text that nobody should see: as it is, or the name of an environment variable or of a file that has it,
// which an engine reads only with Options.Secrets.
type Secret struct{ Text, Env, File string }

// MarshalJSON writes it as the configuration wants it.
func (s Secret) MarshalJSON() ([]byte, error) {
	switch {
	case s.Env != "":
		return json.Marshal(map[string]string{"env": s.Env})
	case s.File != "":
		return json.Marshal(map[string]string{"file": s.File})
	}
	return json.Marshal(s.Text)
}

// String says where the secret is, and never what it is.
func (s Secret) String() string { return "secret(env=" + s.Env + " file=" + s.File + ")" }

// GoString is String.
func (s Secret) GoString() string { return s.String() }

// Some points to a value, for fields of a [Config] whose zero value says something else than their absence.
func Some[T any](value T) *T { return &value }

// Check says what is wrong with a configuration, without opening anything or reading a secret.
func Check(config Document) error {
	text, err := config.document()
	if err != nil {
		return err
	}
	failure := newFailure()
	return failed(C.lb_config_check(chars(text), C.size_t(len(text)), failure), failure)
}

// Schema is the JSON Schema of the configuration.
func Schema() string { return C.GoString(C.lb_config_schema()) }

// BuildInfo is one line of JSON about the library that was linked.
func BuildInfo() string { return C.GoString(C.lb_build_info()) }

// chars lends bytes to one call of C.
func chars(b []byte) *C.char { return (*C.char)(unsafe.Pointer(unsafe.SliceData(b))) }

func text(s string) (*C.char, C.size_t) {
	return (*C.char)(unsafe.Pointer(unsafe.StringData(s))), C.size_t(len(s))
}

// owned takes over a text that is to be freed.
func owned(c *C.char, size C.size_t) string {
	defer C.lb_free(unsafe.Pointer(c))
	return C.GoStringN(c, C.int(size))
}

func bytesOf(event *C.lb_event) []byte {
	return unsafe.Slice((*byte)(event.data), int(event.size))
}
