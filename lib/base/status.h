// The statuses of lb.h as a C++ enum, from the same table.
#pragma once

#include <cstdint>

#include "lb.h"

namespace lb {

enum class Status : int32_t {
#define LB_STATUS_ENUM(name, value, text) name = value,
  LB_STATUS_MAP(LB_STATUS_ENUM)
#undef LB_STATUS_ENUM
};

constexpr const char* status_name(Status status) {
  switch (status) {
#define LB_STATUS_NAME(name, value, text) \
  case Status::name:                      \
    return #name;
    LB_STATUS_MAP(LB_STATUS_NAME)
#undef LB_STATUS_NAME
  }
  return "UNKNOWN";
}

constexpr const char* status_text(Status status) {
  switch (status) {
#define LB_STATUS_TEXT(name, value, text) \
  case Status::name:                      \
    return text;
    LB_STATUS_MAP(LB_STATUS_TEXT)
#undef LB_STATUS_TEXT
  }
  return "unknown status";
}

}  // namespace lb
