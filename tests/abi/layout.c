/* The frozen numbers of LB_ABI 1 on 64-bit targets. A line here changes only together with LB_ABI. */
#include "lb.h"

#define IS(name, condition) typedef char is_##name[(condition) ? 1 : -1]
#define AT(type, member, offset) IS(type##_##member, offsetof(type, member) == offset)
#define SIZE(type, size) IS(type##_bytes, sizeof(type) == size)
#define VALUE(name, value) IS(name##_value, name == value)

#if UINTPTR_MAX == 0xffffffffffffffffu
SIZE(lb_event, 64);
AT(lb_event, call, 0); AT(lb_event, user_data, 8); AT(lb_event, time_ns, 16); AT(lb_event, data, 24);
AT(lb_event, size, 32); AT(lb_event, detail, 40); AT(lb_event, kind, 48); AT(lb_event, status, 52);
AT(lb_event, code, 56); AT(lb_event, flags, 60);

SIZE(lb_error, 512);
AT(lb_error, struct_size, 0); AT(lb_error, status, 4); AT(lb_error, where, 8); AT(lb_error, message, 128);

/* These grow at their end: the size may rise, the offsets stay. */
IS(lb_engine_options_grows, sizeof(lb_engine_options) >= 24);
AT(lb_engine_options, struct_size, 0); AT(lb_engine_options, flags, 4); AT(lb_engine_options, seed, 8);
AT(lb_engine_options, calls_max, 16); AT(lb_engine_options, log_level, 20);

IS(lb_queue_options_grows, sizeof(lb_queue_options) >= 32);
AT(lb_queue_options, struct_size, 0); AT(lb_queue_options, flags, 4); AT(lb_queue_options, wake, 8);
AT(lb_queue_options, deliver, 16); AT(lb_queue_options, ctx, 24);

IS(lb_call_options_grows, sizeof(lb_call_options) >= 32);
AT(lb_call_options, struct_size, 0); AT(lb_call_options, delivery, 4); AT(lb_call_options, user_data, 8);
AT(lb_call_options, deadline_ms, 16); AT(lb_call_options, window_bytes, 20); AT(lb_call_options, priority, 24);
AT(lb_call_options, flags, 28);

IS(lb_translate_options_grows, sizeof(lb_translate_options) >= 56);
AT(lb_translate_options, struct_size, 0); AT(lb_translate_options, flags, 4); AT(lb_translate_options, model, 8);
AT(lb_translate_options, model_len, 16); AT(lb_translate_options, id, 24); AT(lb_translate_options, id_len, 32);
AT(lb_translate_options, created_s, 40); AT(lb_translate_options, output_max, 48);

IS(lb_translated_grows, sizeof(lb_translated) >= 80);
AT(lb_translated, struct_size, 0); AT(lb_translated, flags, 4); AT(lb_translated, body, 8);
AT(lb_translated, body_len, 16); AT(lb_translated, path, 24); AT(lb_translated, model, 32);
AT(lb_translated, lost, 40); AT(lb_translated, known, 48); AT(lb_translated, left_out, 52);
AT(lb_translated, tokens_in, 56); AT(lb_translated, tokens_out, 64); AT(lb_translated, tokens_cached, 72);
#endif

SIZE(lb_call, 8);
SIZE(lb_status, 4);

VALUE(LB_OK, 0); VALUE(LB_INVALID, -1); VALUE(LB_UNSUPPORTED, -2); VALUE(LB_CONFIG, -3); VALUE(LB_CLOSED, -4);
VALUE(LB_GONE, -5); VALUE(LB_FULL, -6); VALUE(LB_FORKED, -7); VALUE(LB_INTERNAL, -8);
VALUE(LB_CANCELLED, -32); VALUE(LB_DEADLINE, -33); VALUE(LB_NO_UPSTREAM, -34); VALUE(LB_LIMITED, -35);
VALUE(LB_CONNECT, -36); VALUE(LB_TLS, -37); VALUE(LB_PROTOCOL, -38); VALUE(LB_UPSTREAM, -39); VALUE(LB_BROKEN, -40);
VALUE(LB_TOO_LARGE, -41);

VALUE(LB_ENGINE_DRIVEN, 1); VALUE(LB_ENGINE_SECRETS, 2); VALUE(LB_ENGINE_NO_LISTEN, 4); VALUE(LB_CALL_ATTEMPTS, 1);
VALUE(LB_CALL_APPEND, 2);
VALUE(LB_EVENT_ATTEMPT, 1); VALUE(LB_EVENT_HEAD, 2); VALUE(LB_EVENT_DATA, 3); VALUE(LB_EVENT_DONE, 4);
VALUE(LB_EVENT_LOG, 5); VALUE(LB_EVENT_CLOSED, 6); VALUE(LB_EVENT_ROOM, 7);
VALUE(LB_DELIVER_BYTES, 0); VALUE(LB_DELIVER_EVENTS, 1); VALUE(LB_DELIVER_WHOLE, 2);
VALUE(LB_DIALECT_OPENAI, 1); VALUE(LB_DIALECT_RESPONSES, 2); VALUE(LB_DIALECT_ANTHROPIC, 3);
VALUE(LB_DIALECT_GEMINI, 4);
VALUE(LB_TRANSLATE_STREAM, 1); VALUE(LB_TRANSLATE_USAGE, 2); VALUE(LB_TRANSLATE_MAX_TOKENS, 4);
VALUE(LB_TRANSLATE_THINKING_BACK, 8); VALUE(LB_TRANSLATE_THINKING_BUDGET, 16);
VALUE(LB_FIELD_TOKENS_IN, 1); VALUE(LB_FIELD_TOKENS_OUT, 2); VALUE(LB_FIELD_TOKENS_CACHED, 3);
VALUE(LB_FIELD_ATTEMPTS, 4); VALUE(LB_FIELD_QUEUED_NS, 5); VALUE(LB_FIELD_FIRST_BYTE_NS, 6);
VALUE(LB_FIELD_TOTAL_NS, 7); VALUE(LB_FIELD_RETRY_AFTER_MS, 8); VALUE(LB_FIELD_WINDOW_BYTES, 9);
VALUE(LB_FIELD_UPSTREAM, 64);
VALUE(LB_FIELD_MODEL, 65); VALUE(LB_FIELD_MESSAGE, 66); VALUE(LB_FIELD_REQUEST_ID, 67);

int main(void) { return 0; }
