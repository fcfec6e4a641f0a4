#include "mock/server.h"

#include <pthread.h>
#include <signal.h>

#include <cstring>
#include <ctime>

namespace lb::mock {

std::unique_ptr<Server> Server::start(Options options, std::string* error) {
  std::unique_ptr<Server> server(new Server(std::move(options)));
  if (!server->listen(error)) return nullptr;
  if (uv_thread_create(&server->thread_, run, server.get()) != 0) {
    *error = "no thread could be started";
    return nullptr;
  }
  server->threaded_ = true;
  return server;
}

Server::Server(Options options)
    : address_(options.address),
      port_(static_cast<uint16_t>(options.port)),
      journal_(options.journal_calls, options.journal_body),
      read_buffer_(new char[kReadBuffer]),
      settings_(Connection::settings()) {
  uv_loop_init(&loop_);
  uv_async_init(&loop_, &wake_, [](uv_async_t* wake) { static_cast<Server*>(wake->data)->on_wake(); });
  wake_.data = this;
  script_ = std::make_unique<Script>(std::make_shared<const Options>(std::move(options)), now().ms);
}

Server::~Server() {
  if (threaded_) {
    ask(Request::quit, {});
    uv_thread_join(&thread_);
  } else {
    fall_silent(End::stopped);
    uv_close(reinterpret_cast<uv_handle_t*>(&wake_), nullptr);
    uv_run(&loop_, UV_RUN_DEFAULT);
  }
  uv_loop_close(&loop_);
}

bool Server::listen(std::string* error) {
  sockaddr_storage address{};
  sockaddr* plain = reinterpret_cast<sockaddr*>(&address);
  if (uv_ip4_addr(address_.c_str(), port_, reinterpret_cast<sockaddr_in*>(&address)) != 0 &&
      uv_ip6_addr(address_.c_str(), port_, reinterpret_cast<sockaddr_in6*>(&address)) != 0) {
    *error = "/address: \"" + address_ + "\" is no IPv4 or IPv6 address";
    return false;
  }
  listener_ = new uv_tcp_t();
  uv_tcp_init(&loop_, listener_);
  listener_->data = this;
  int result = uv_tcp_bind(listener_, plain, 0);
  if (result == 0)
    result = uv_listen(reinterpret_cast<uv_stream_t*>(listener_), kBacklog, [](uv_stream_t* listener, int status) {
      if (status == 0) static_cast<Server*>(listener->data)->on_connection();
    });
  if (result != 0) {
    *error = "cannot listen on " + address_ + ":" + std::to_string(port_) + ": " + uv_strerror(result);
    return false;
  }
  int size = sizeof address;
  uv_tcp_getsockname(listener_, plain, &size);
  port_ = ntohs(plain->sa_family == AF_INET ? reinterpret_cast<sockaddr_in*>(plain)->sin_port
                                            : reinterpret_cast<sockaddr_in6*>(plain)->sin6_port);
  alive_ = true;
  return true;
}

void Server::run(void* self) {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);  // Signals, SIGPIPE too, are the host's.
  uv_run(&static_cast<Server*>(self)->loop_, UV_RUN_DEFAULT);
}

std::string Server::ask(Request request, std::string_view text) {
  const std::lock_guard one(one_);
  std::unique_lock lock(mutex_);
  text_ = text;
  request_ = request;
  uv_async_send(&wake_);
  answered_.wait(lock, [&] { return request_ == Request::none; });
  return std::move(text_);
}

void Server::on_wake() {
  const std::lock_guard lock(mutex_);
  const Request request = request_;
  if (request == Request::none) return;
  switch (request) {
    case Request::journal: text_ = journal_text(); break;
    case Request::control: text_ = control(text_).value_or(""); break;
    case Request::stop: fall_silent(End::stopped); break;
    case Request::quit:
      fall_silent(End::stopped);
      uv_close(reinterpret_cast<uv_handle_t*>(&wake_), nullptr);
      break;
    case Request::none: break;
  }
  request_ = Request::none;
  answered_.notify_all();
}

std::string Server::journal_text() {
  const Behaviour& behaviour = script_->options()->behaviour;
  return journal_.json(behaviour.name, now().ms);
}

std::optional<std::string> Server::control(std::string_view json) {
  auto options = std::make_shared<Options>();
  if (std::optional<std::string> wrong = read_options(json, true, options.get())) return wrong;
  std::string error;
  if (!listener_ && !listen(&error)) return error;
  if (options->clear_journal) journal_.clear();
  script_ = std::make_unique<Script>(std::move(options), now().ms);
  return {};
}

Clock Server::now() {
  Clock clock;
  clock.ms = static_cast<double>(uv_hrtime()) / 1e6;
  clock.wall_s = std::time(nullptr);
  if (clock.wall_s != date_s_) {
    date_s_ = clock.wall_s;
    date_ = http_date(date_s_);
  }
  clock.date = date_;
  return clock;
}

void Server::on_connection() {
  Connection* connection = new Connection(*this, ++last_id_);
  connection->place = connections_.size();
  connections_.push_back(connection);
  Counts& counts = journal_.counts();
  counts.connections++;
  counts.connections_open++;
  counts.connections_open_max = std::max(counts.connections_open_max, counts.connections_open);
  connection->accept(reinterpret_cast<uv_stream_t*>(listener_));
}

void Server::left(Connection& connection) {
  connections_.back()->place = connection.place;
  connections_[connection.place] = connections_.back();
  connections_.pop_back();
  journal_.counts().connections_open--;
}

void Server::fall_silent(End how) {
  alive_ = false;
  const auto gone = [](uv_handle_t* handle) { delete reinterpret_cast<uv_tcp_t*>(handle); };
  if (listener_) uv_close(reinterpret_cast<uv_handle_t*>(listener_), gone);
  listener_ = nullptr;
  while (!connections_.empty()) connections_.back()->close(how, false, true);
}

}  // namespace lb::mock
