/* The header alone, first and twice; compiled as C and as C++ by meson.build. */
#include "lb.h"
#include "lb.h"

int main(void) {
  lb_error error;
  lb_event event;
  lb_status status = LB_OK;
  error.struct_size = (uint32_t)sizeof error;
  event.kind = LB_EVENT_DONE;
  return lb_abi() == LB_ABI && sizeof error == 512 && event.kind == 4 && error.struct_size && status == 0 ? 0 : 1;
}
