//go:build !go1.24

package lb

import "runtime"

type guard struct{}

// onCollected leaves the call of a body that was forgotten.
func onCollected(b *body) (none guard) {
	runtime.SetFinalizer(b, func(b *body) { b.call.leave() })
	return none
}

func (guard) Stop() {}
