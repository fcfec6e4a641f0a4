#include "mock/connection.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "mock/errors.h"
#include "mock/models.h"
#include "mock/server.h"
#include "mock/text.h"

namespace lb::mock {

struct Connection::Write {
  uv_write_t request{};
  std::string data;
  Connection* connection;
};

llhttp_settings_t Connection::settings() {
  llhttp_settings_t s;
  llhttp_settings_init(&s);
  s.on_message_begin = [](llhttp_t* p) { return static_cast<Connection*>(p->data)->on_begin(); };
  s.on_url = [](llhttp_t* p, const char* at, size_t size) {
    static_cast<Connection*>(p->data)->path_.append(at, size);
    return static_cast<Connection*>(p->data)->head_fits();
  };
  s.on_header_field = [](llhttp_t* p, const char* at, size_t size) {
    std::string& fields = static_cast<Connection*>(p->data)->fields_;
    for (size_t i = 0; i < size; i++) fields += at[i] >= 'A' && at[i] <= 'Z' ? static_cast<char>(at[i] | 0x20) : at[i];
    return static_cast<Connection*>(p->data)->head_fits();
  };
  s.on_header_field_complete = [](llhttp_t* p) {
    static_cast<Connection*>(p->data)->fields_ += ": ";
    return 0;
  };
  s.on_header_value = [](llhttp_t* p, const char* at, size_t size) {
    static_cast<Connection*>(p->data)->fields_.append(at, size);
    return static_cast<Connection*>(p->data)->head_fits();
  };
  s.on_header_value_complete = [](llhttp_t* p) {
    static_cast<Connection*>(p->data)->fields_ += "\r\n";
    return static_cast<Connection*>(p->data)->head_fits();
  };
  s.on_headers_complete = [](llhttp_t* p) { return static_cast<Connection*>(p->data)->on_headers(); };
  s.on_body = [](llhttp_t* p, const char* at, size_t size) {
    return static_cast<Connection*>(p->data)->on_body({at, size});
  };
  s.on_message_complete = [](llhttp_t* p) {
    static_cast<Connection*>(p->data)->keep_alive_ = llhttp_should_keep_alive(p) != 0;
    return static_cast<int>(HPE_PAUSED);  // One answer after the other.
  };
  return s;
}

bool Connection::accept(uv_stream_t* listener) {
  uv_tcp_init(server_.loop(), &tcp_);
  uv_timer_init(server_.loop(), &timer_);
  tcp_.data = timer_.data = this;
  llhttp_init(&parser_, HTTP_REQUEST, server_.settings());
  parser_.data = this;
  open_ms_ = server_.now().ms;
  uv_stream_t* stream = reinterpret_cast<uv_stream_t*>(&tcp_);
  if (uv_accept(listener, stream) != 0) {
    close(End::stopped, false, false);
    return false;
  }
  uv_tcp_nodelay(&tcp_, 1);
  uv_read_start(
      stream,
      [](uv_handle_t* handle, size_t, uv_buf_t* buf) {
        *buf = uv_buf_init(static_cast<Connection*>(handle->data)->server_.read_buffer(), Server::kReadBuffer);
      },
      [](uv_stream_t* handle, ssize_t count, const uv_buf_t* buf) {
        static_cast<Connection*>(handle->data)->on_read(count, buf);
      });
  return true;
}

Call* Connection::entry() { return server_.journal().find(call_); }

void Connection::close(End how, bool by_client, bool by_reset) {
  if (closed_) return;
  closed_ = true;
  const double now_ms = server_.now().ms;
  Journal& journal = server_.journal();
  if (Call* call = entry(); call && call->end == End::open) {
    if (how == End::client_closed) journal.counts().client_closed++;
    if (how == End::cut || how == End::reset) journal.counts().cut++;
    journal.end(*call, how, now_ms);
  }
  journal.closed({id_, answers_, open_ms_, now_ms, by_client, by_reset});
  server_.left(*this);
  const auto gone = [](uv_handle_t* handle) {
    Connection* connection = static_cast<Connection*>(handle->data);
    if (--connection->handles_ == 0) delete connection;
  };
  uv_close(reinterpret_cast<uv_handle_t*>(&timer_), gone);
  // A reset needs an empty queue: what is queued is dropped with the handle.
  if (by_client || !by_reset || uv_tcp_close_reset(&tcp_, gone) != 0)
    uv_close(reinterpret_cast<uv_handle_t*>(&tcp_), gone);
}

int Connection::on_begin() {
  path_.clear();
  fields_.clear();
  too_large_ = false;
  endpoint_ = Endpoint::unknown;
  call_ = 0;
  return 0;
}

int Connection::on_headers() {
  http10_ = parser_.http_major == 1 && parser_.http_minor == 0;
  method_.assign(llhttp_method_name(static_cast<llhttp_method_t>(parser_.method)));
  endpoint_ = endpoint_of(method_, path_);
  body_.reset(reads_all(endpoint_) || server_.script().options()->calls_tools);
  // What a test asks of the mock itself is not what the mock saw.
  if (endpoint_ == Endpoint::journal || endpoint_ == Endpoint::control || endpoint_ == Endpoint::about) return 0;
  Call& call = server_.journal().begin();
  call.connection = id_;
  call.start_ms = server_.now().ms;
  call.method = method_;
  call.path = path_;
  call.headers = fields_;
  call_ = call.number;
  if (find_field(fields_, "expect") == "100-continue") {
    out_ += "HTTP/1.1 100 Continue\r\n\r\n";
    flush();
  }
  return 0;
}

int Connection::on_body(std::string_view data) {
  if (!body_.add(data)) too_large_ = true;
  if (Call* call = entry()) {
    call->body_bytes += data.size();
    server_.journal().keep_body(*call, data);
  }
  return 0;
}

void Connection::on_read(ssize_t count, const uv_buf_t* buf) {
  if (count < 0) return close(End::client_closed, true, count == UV_ECONNRESET);
  feed({buf->base, static_cast<size_t>(count)});
}

void Connection::feed(std::string_view data) {
  while (!data.empty() && !answering_ && !closed_) {
    const llhttp_errno_t error = llhttp_execute(&parser_, data.data(), data.size());
    if (error == HPE_OK) return;
    if (error != HPE_PAUSED) return bad_request(head_fits() == 0 ? 400 : 431);
    data.remove_prefix(static_cast<size_t>(llhttp_get_error_pos(&parser_) - data.data()));
    llhttp_resume(&parser_);
    answer();
  }
  if (closed_ || data.empty()) return;
  if (pending_.size() + data.size() > kPendingMax) return close(End::bad_request, false, false);
  pending_ += data;
}

void Connection::bad_request(uint32_t status) {
  std::string body;
  add_error(voice_of(endpoint_), status, {}, "The mock could not read that request.", {}, &body);
  answering_ = true;
  if (Call* call = entry()) server_.journal().end(*call, End::bad_request, server_.now().ms);
  exchange_.start_ready(status, "application/json", std::move(body), server_.now(), true);
  keep_alive_ = false;
  drive();
}

void Connection::answer() {
  answering_ = true;
  Clock now = server_.now();
  Call* call = entry();
  if (call) call->received_ms = now.ms;
  if (!counts_as_call(endpoint_)) {
    answer_other(endpoint_, !keep_alive_);
    return drive();
  }
  if (too_large_) return bad_request(413);
  read_ask(endpoint_, path_, body_, &ask_);
  Verdict& verdict = exchange_.verdict();
  server_.script().judge(ask_, fields_, now, &verdict);
  if (call) {
    call->model = ask_.model;
    call->stream = ask_.stream;
    call->status = verdict.status;
    call->behaviour = verdict.behaviour->label;
  }
  if (verdict.die) return server_.fall_silent(End::reset);
  if (verdict.behaviour->tool_calls != 0 && !verdict.ready)
    choose_calls(body_.kept(), verdict.behaviour->tool_calls, &ask_.calls);
  if (verdict.limited) server_.journal().counts().limited++;
  else if (verdict.status != 200) server_.journal().counts().errors++;
  const uint32_t most = verdict.behaviour->answers_per_connection;
  if (most != 0 && answers_ + 1 >= most) keep_alive_ = false;
  // Four bytes a token: the usual rule of thumb.
  const uint64_t prompt_tokens = std::max<uint64_t>(1, body_.size() / 4);
  exchange_.start(endpoint_, ask_, server_.script(), now, prompt_tokens, !keep_alive_, http10_);
  drive();
}

void Connection::answer_other(Endpoint endpoint, bool last) {
  const Behaviour& behaviour = server_.script().options()->behaviour;
  std::string body;
  uint32_t status = 200;
  std::string_view type = "application/json";
  const bool listing = endpoint == Endpoint::models || endpoint == Endpoint::model;
  const Voice voice = listing ? voice_of_list(path_, fields_) : Voice::openai;
  if (listing && !server_.script().admits(path_, fields_)) {
    add_error(voice, status = 401, {}, "Incorrect API key provided (mock).", {}, &body);
  } else if (endpoint == Endpoint::models) {
    add_models(voice, behaviour.models, &body);
  } else if (endpoint == Endpoint::model) {
    const std::string_view name = std::string_view(path_).substr(path_.find("/models/") + 8);
    const auto found = std::find(behaviour.models.begin(), behaviour.models.end(), name.substr(0, name.find('?')));
    if (found != behaviour.models.end()) add_model(voice, *found, &body);
    else add_error(voice, status = 404, {}, "The model does not exist (mock).", {}, &body);
  } else if (endpoint == Endpoint::journal) {
    body = server_.journal_text();
  } else if (endpoint == Endpoint::control) {
    const std::optional<std::string> wrong =
        too_large_ ? "options: larger than 16777216 bytes" : server_.control(body_.kept());
    if (wrong) add_error(Voice::openai, status = 400, "bad_options", *wrong, {}, &body);
    else body = "{\"ok\":true}";
  } else if (endpoint == Endpoint::about) {
    type = "text/plain";
    body = "lb mock " + behaviour.name + "\n";
  } else {
    add_error(Voice::openai, status = 404, "unknown_url", "Unknown request URL: " + method_ + " " + path_, {}, &body);
  }
  if (Call* call = entry()) call->status = status;
  exchange_.start_ready(status, type, std::move(body), server_.now(), last);
}

void Connection::drive() {
  while (!closed_ && answering_) {
    const Clock now = server_.now();
    const Step step = exchange_.advance(now, &out_);
    if (Call* call = entry()) {
      call->events = exchange_.events();
      call->sent_bytes += out_.size();
      if (!out_.empty()) call->last_write_ms = now.ms;
    }
    flush();
    if (closed_) return;
    if (step.kind == Step::Kind::wait) {
      uv_update_time(server_.loop());
      uv_timer_start(
          &timer_, [](uv_timer_t* timer) { static_cast<Connection*>(timer->data)->drive(); },
          static_cast<uint64_t>(std::ceil(std::max(0.0, step.until_ms - now.ms))), 0);
      return;
    }
    if (step.kind == Step::Kind::hang) return;
    if (uv_stream_get_write_queue_size(reinterpret_cast<uv_stream_t*>(&tcp_)) != 0) {
      then_ = step.kind;
      return;
    }
    if (step.kind != Step::Kind::drain) return settle(step);
  }
}

void Connection::on_drained() {
  if (closed_ || then_ == Step::Kind::hang) return;
  const Step::Kind kind = then_;
  then_ = Step::Kind::hang;
  if (kind == Step::Kind::drain) drive();
  else settle({kind});
}

void Connection::settle(Step step) {
  if (step.kind == Step::Kind::close) return close(End::cut, false, false);
  if (step.kind == Step::Kind::reset) return close(End::reset, false, true);
  finish_answer();
}

void Connection::finish_answer() {
  answers_++;
  Journal& journal = server_.journal();
  if (Call* call = entry(); call && call->end == End::open) journal.end(*call, End::answered, server_.now().ms);
  journal.counts().answered++;
  answering_ = false;
  if (!keep_alive_ || exchange_.close_delimited()) return close(End::answered, false, false);
  if (pending_.empty()) return;
  std::string next;
  next.swap(pending_);
  feed(next);
}

void Connection::flush() {
  if (out_.empty()) return;
  uv_stream_t* stream = reinterpret_cast<uv_stream_t*>(&tcp_);
  size_t written = 0;
  if (uv_stream_get_write_queue_size(stream) == 0) {
    uv_buf_t buf = uv_buf_init(out_.data(), static_cast<unsigned>(out_.size()));
    const int result = uv_try_write(stream, &buf, 1);
    if (result < 0 && result != UV_EAGAIN) return close(End::client_closed, true, true);
    if (result > 0) written = static_cast<size_t>(result);
  }
  if (written < out_.size()) {
    auto write = std::make_unique<Write>();
    write->connection = this;
    write->data = written == 0 ? std::move(out_) : out_.substr(written);
    uv_buf_t buf = uv_buf_init(write->data.data(), static_cast<unsigned>(write->data.size()));
    Write* raw = write.release();
    raw->request.data = raw;
    uv_write(&raw->request, stream, &buf, 1, [](uv_write_t* request, int status) {
      const std::unique_ptr<Write> done(static_cast<Write*>(request->data));
      Connection* connection = done->connection;
      if (status != 0) return connection->close(End::client_closed, true, true);
      if (uv_stream_get_write_queue_size(request->handle) == 0) connection->on_drained();
    });
  }
  out_.clear();
}

}  // namespace lb::mock
