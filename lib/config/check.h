// The shape of a document: every key known, every value of the right type and in its range, nothing missing that must
// be there. What depends on other values (names, models, tiers) is the business of the readers.
#pragma once

#include "config/place.h"
#include "config/schema.h"
#include "wire/json.h"

namespace lb {

// `as`: what of a configuration the document is.
Problem check_shape(JsonView document, schema::Key as = schema::Key::root);

}  // namespace lb
