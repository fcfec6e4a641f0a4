#include "wire/dialect/anthropic_messages.h"

namespace lb {

const DialectTable kAnthropicMessages = {};

}  // namespace lb
