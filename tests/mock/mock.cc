#include "lb_mock.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "mock/server.h"

struct lb_mock {
  std::unique_ptr<lb::mock::Server> server;
};

namespace {

using lb::mock::Server;

int32_t refused(const std::string& why, char* err, size_t err_cap) {
  if (err && err_cap != 0) {
    const size_t size = std::min(why.size(), err_cap - 1);
    std::memcpy(err, why.data(), size);
    err[size] = '\0';
  }
  return -1;
}

}  // namespace

int32_t lb_mock_start(const char* options, size_t len, lb_mock** out, char* err, size_t err_cap) {
  *out = nullptr;
  lb::mock::Options read;
  if (auto wrong = lb::mock::read_options({options, len}, false, &read)) return refused(*wrong, err, err_cap);
  std::string error;
  std::unique_ptr<Server> server = Server::start(std::move(read), &error);
  if (!server) return refused(error, err, err_cap);
  *out = new lb_mock{std::move(server)};
  return 0;
}

uint16_t lb_mock_port(const lb_mock* mock) { return mock->server->port(); }

int32_t lb_mock_alive(const lb_mock* mock) { return mock->server->alive() ? 1 : 0; }

char* lb_mock_journal(lb_mock* mock, size_t* len) {
  const std::string text = mock->server->ask(Server::Request::journal, {});
  char* copy = static_cast<char*>(std::malloc(text.size() + 1));
  if (!copy) std::abort();
  std::memcpy(copy, text.c_str(), text.size() + 1);
  if (len) *len = text.size();
  return copy;
}

void lb_mock_free_text(char* text) { std::free(text); }

int32_t lb_mock_control(lb_mock* mock, const char* options, size_t len, char* err, size_t err_cap) {
  const std::string why = mock->server->ask(Server::Request::control, {options, len});
  return why.empty() ? 0 : refused(why, err, err_cap);
}

void lb_mock_stop(lb_mock* mock) { mock->server->ask(Server::Request::stop, {}); }

void lb_mock_free(lb_mock* mock) { delete mock; }
