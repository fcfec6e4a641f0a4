//go:build go1.24

package lb

import "runtime"

// guard cancels the call of a body that was forgotten.
type guard struct{ cleanup runtime.Cleanup }

func onCollected(b *body, c *call) guard {
	return guard{runtime.AddCleanup(b, func(c *call) { c.give(errLeft) }, c)}
}

func (g guard) stop() { g.cleanup.Stop() }
