//go:build !go1.24

package lb

import "runtime"

// guard cancels the call of a body that was forgotten.
type guard struct{ body *body }

func onCollected(b *body, _ *call) guard {
	runtime.SetFinalizer(b, func(b *body) { b.call.give(errLeft) })
	return guard{}
}

func (guard) stop() {}
