package lb

import (
	"fmt"
	"reflect"
	"sync"
	"testing"
)

func TestHeader(t *testing.T) {
	var n names
	want := map[string][]string{"Content-Type": {"text/plain"}, "X-Lb-Attempts": {"2"}, "Set-Cookie": {"a: 1", "b", ""},
		"not a name": {"x"}}
	for range [3]int{} {
		got := n.header("content-type: text/plain\r\nset-cookie: a: 1\r\nX-LB-ATTEMPTS: 2\r\nset-cookie: b\r\n" +
			"not a name: x\r\nset-cookie: \r\n")
		if !reflect.DeepEqual(map[string][]string(got), want) {
			t.Fatalf("%v", got)
		}
	}
	// Lists have no room behind their values: what is added to one does not change another.
	got := n.header("a: 1\r\nb: 2\r\n")
	got.Add("a", "3")
	if got.Get("b") != "2" {
		t.Fatalf("%v", got)
	}
	if len(n.header("")) != 0 {
		t.Fatal("fields of an empty head")
	}
}

// As many names as there may be, by several goroutines: those beyond are spelled all the same.
func TestNamesAreBounded(t *testing.T) {
	var n names
	var group sync.WaitGroup
	for g := 0; g < 4; g++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := 0; i < 2*namesMax; i++ {
				if got, want := n.spell(fmt.Sprintf("x-name-%d", i)), fmt.Sprintf("X-Name-%d", i); got != want {
					t.Errorf("%s instead of %s", got, want)
				}
			}
		}()
	}
	group.Wait()
	if known := len(*n.known.Load()); known > namesMax || known < namesMax/2 {
		t.Fatalf("%d names", known)
	}
}
