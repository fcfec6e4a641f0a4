// A document of the right shape (check.h) into a Config: defaults, secrets, and all that depends on other values. The
// routes are in routes.cc.
#pragma once

#include "config/config.h"
#include "config/place.h"
#include "config/schema.h"
#include "wire/json.h"

namespace lb {

Problem read_config(JsonView root, Secrets* secrets, SecretUse use, Config& out);

using schema::Preset;

// What goes to the policies: health, retries, shared limits, rules for errors (policies.cc).
Problem read_policies(JsonView root, Preset preset, Config& out);
// The LB_LIMITS block whose first key is `first`.
policy::ScopeSpec read_limits(JsonView view, schema::Key first, Preset preset);
policy::Price read_price(JsonView view);
policy::HedgeSpec read_hedge(JsonView view);
// Null where there is none (validate.cc).
Problem read_validate(const Place& place, JsonView view, std::shared_ptr<const AnswerRules>& out);

// After the deployments: reads the routes and adds those that nobody wrote.
Problem read_routes(JsonView root, Preset preset, Config& config);

// The member of `object` that `key` names, or its default: the preset's, else the schema's.
uint64_t read_integer(JsonView object, schema::Key key, Preset preset = Preset::none);
double read_number(JsonView object, schema::Key key, Preset preset = Preset::none);
bool read_boolean(JsonView object, schema::Key key, Preset preset = Preset::none);
Duration read_ms(JsonView object, schema::Key key, Preset preset = Preset::none);
std::string read_string(JsonView object, schema::Key key);
uint32_t read_choice(JsonView object, schema::Key key, Preset preset = Preset::none);

}  // namespace lb
