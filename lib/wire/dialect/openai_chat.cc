#include "wire/dialect/openai_chat.h"

namespace lb {

const DialectTable kOpenAiChat = {};

}  // namespace lb
