// The shape of a document: every key known, every value of the right type and in its range, nothing missing that must
// be there. What depends on other values (names, models, tiers) is the business of the readers.
#pragma once

#include "config/place.h"
#include "wire/json.h"

namespace lb {

Problem check_shape(JsonView document);

}  // namespace lb
