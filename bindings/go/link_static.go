//go:build lb_static

package lb

// The archive stands in native/GOOS_GOARCH, or where CGO_LDFLAGS says; the header in native, or where CGO_CFLAGS says.

// #cgo CFLAGS: -DLB_STATIC -I${SRCDIR}/native
// #cgo linux,amd64 LDFLAGS: -L${SRCDIR}/native/linux_amd64
// #cgo linux,arm64 LDFLAGS: -L${SRCDIR}/native/linux_arm64
// #cgo LDFLAGS: -l:liblb.a -lstdc++ -lm -lpthread -ldl
import "C"
