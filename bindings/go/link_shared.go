//go:build !lb_static

package lb

// #cgo pkg-config: lb
import "C"
