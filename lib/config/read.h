// A document of the right shape (check.h) into a Config: defaults, secrets, and all that depends on other values. The
// routes are in routes.cc.
#pragma once

#include "config/config.h"
#include "config/place.h"
#include "config/schema.h"
#include "wire/json.h"

namespace lb {

Problem read_config(JsonView root, Secrets* secrets, SecretUse use, Config& out);

// After the deployments: reads the routes and adds those that nobody wrote.
Problem read_routes(JsonView root, Config& config);

// The member of `object` that `key` names, or its default from the schema.
uint64_t read_integer(JsonView object, schema::Key key);
double read_number(JsonView object, schema::Key key);
bool read_boolean(JsonView object, schema::Key key);
Duration read_ms(JsonView object, schema::Key key);
std::string read_string(JsonView object, schema::Key key);
uint32_t read_choice(JsonView object, schema::Key key);

}  // namespace lb
