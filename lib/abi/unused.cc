// Debian's libuv_a.a is compiled for executables: it reaches three variables of the C library directly, which a shared
// object may not do. meson.build makes a copy of the archive that names these instead. Nothing reads them: they serve
// uv_spawn, uv_os_environ, handles that pass descriptors, and UDP, of which lb uses none.
extern "C" {

extern char* const* const unused_environ;
extern void* const unused_stderr;
extern const unsigned char unused_in6addr_any[16];

char* const* const unused_environ = nullptr;
void* const unused_stderr = nullptr;
const unsigned char unused_in6addr_any[16] = {};

}  // extern "C"
