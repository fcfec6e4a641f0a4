// Many clients that do everything at once, by seed: what they pipeline is cut anywhere, they read slowly, they leave in
// the middle. Each answer must belong to its request, in order, and in the end nothing may be left.
#include "gateway/client.h"

#include "base/rng.h"
#include "gateway/world.h"

namespace {

using namespace lb::test;
using lb::ConnId;
using lb::Duration;
using lb::Rng;

constexpr uint64_t kSeeds = 200;

const char* const kConfig =
    "listen: [{address: '127.0.0.1:0'}]\n"
    "deployments:\n  - {name: fast, kind: echo}\n  - {name: slow, kind: echo, delay_ms: 3, events: 40}\n"
    "routes: [{model: '*', window_bytes: 1024}]\n"
    "limits: {connections: 6, body_bytes: 3000}\n";

// What the answer must have in it.
struct Wanted {
  uint32_t status = 0;
  std::string part;
};

struct Person {
  ConnId conn = 0;
  std::string script;        // Not sent yet.
  std::vector<Wanted> wanted;
  bool left = false;
};

std::string body_in_chunks(Rng& rng, std::string_view body, std::string_view path) {
  std::string out = "POST " + std::string(path) + " HTTP/1.1\r\nhost: lb\r\ntransfer-encoding: chunked\r\n\r\n";
  while (!body.empty()) {
    size_t n = 1 + rng.below(body.size());
    out.append(lb::chunk_line(n)).append(body.substr(0, n)).append("\r\n");
    body.remove_prefix(n);
  }
  return out.append(lb::kLastChunk);
}

void add_request(Rng& rng, Person& person, uint64_t number) {
  std::string model = "model-" + std::to_string(number);
  std::string body = "{\"model\":\"" + model + "\",\"pad\":\"" + std::string(rng.below(1500), 'x') + "\"";
  switch (rng.below(8)) {
    case 0:
      person.script += get("/healthz");
      return person.wanted.push_back({200, "ok\n"});
    case 1:
      person.script += get("/v1/models/" + model);
      return person.wanted.push_back({404, model});
    case 2:
      person.script += post(body);  // Its end is missing.
      return person.wanted.push_back({400, "invalid_json"});
    case 3:
      person.script += post("{\"pad\":\"" + std::string(rng.below(2900), 'x') + "\"}", "", "/nothing/" + model);
      return person.wanted.push_back({404, model});
    case 4:
      person.script += body_in_chunks(rng, body + ",\"stream\":true}", "/v1/chat/completions");
      return person.wanted.push_back({200, model});
    case 5:
      person.script += post(body + "}", "", "/v1/embeddings");
      return person.wanted.push_back({200, model});
    default:
      person.script += post(body + ",\"stream\":true}");
      return person.wanted.push_back({200, model});
  }
}

class Swarm {
 public:
  explicit Swarm(uint64_t seed) : rng_(seed), w_(kConfig) {}

  void run() {
    for (size_t step = 200 + rng_.below(300); step > 0; step--) act();
    settle();
    for (Person& person : people_) check(person);
    for (Person& person : people_)
      if (!w_.gone(person.conn)) w_.end(person.conn);
    for (Person& person : people_) assert_true(w_.gone(person.conn));
    w_.assert_at_rest();
    assert_has(w_.gateway->stats_json(), "\"open\":0,\"busy\":0");
  }

 private:
  void act() {
    if (people_.empty() || (people_.size() < 12 && rng_.below(8) == 0)) return arrive();
    Person& person = people_[rng_.below(people_.size())];
    FakeNet::Conn& conn = w_.net.conns.at(person.conn);
    switch (rng_.below(12)) {
      case 0:
        return add_request(rng_, person, ++requests_);
      case 1:
        conn.room = rng_.below(3) ? rng_.below(2000) : SIZE_MAX;
        return;
      case 2:
        return w_.pass(Duration::from_ms(static_cast<int64_t>(rng_.below(20))));
      case 3:
        if (rng_.below(12) == 0 && !w_.gone(person.conn)) leave(person);
        return;
      case 4:
      case 5:
        return w_.drink(person.conn, rng_.below(3000));
      default:
        return say(person, 1 + rng_.below(rng_.below(4) ? 100 : 5000));
    }
  }
  void arrive() {
    Person person;
    person.conn = w_.net.dial(w_.gateway->address("").value());
    for (uint64_t n = rng_.below(6); n > 0; n--) add_request(rng_, person, ++requests_);
    people_.push_back(std::move(person));
    if (rng_.below(2)) w_.turn();
  }
  void leave(Person& person) {
    person.left = true;
    rng_.below(2) ? w_.end(person.conn) : w_.reset(person.conn);
  }
  void say(Person& person, size_t n) {
    if (w_.gone(person.conn) || w_.net.conns.at(person.conn).fin) return;
    n = std::min(n, person.script.size());
    if (n == 0) return;
    w_.push(person.conn, person.script.substr(0, n));
    person.script.erase(0, n);
    if (rng_.below(3)) w_.turn();
  }
  // Everybody says the rest and takes everything; those that had to wait for a place get it when others go.
  void settle() {
    for (int round = 0; round < 3; round++) {
      for (Person& person : people_) {
        w_.net.conns.at(person.conn).room = SIZE_MAX;
        say(person, SIZE_MAX);
      }
      for (int calm = 0; calm < 3; calm = w_.gateway->idle() ? calm + 1 : 0) {
        w_.pass(Duration::from_ms(5));
        for (Person& person : people_) w_.drink(person.conn, SIZE_MAX);
      }
      // Those that have all they wanted make room.
      std::vector<ConnId> served;
      for (Person& person : people_)
        if (!w_.gone(person.conn) && w_.net.conns.at(person.conn).adopted) served.push_back(person.conn);
      for (ConnId conn : served) w_.end(conn);
    }
  }
  void check(Person& person) {
    std::vector<Answer> answers = w_.answers(person.conn);
    if (!person.left) assert_int_equal(answers.size(), person.wanted.size());
    assert_true(answers.size() <= person.wanted.size());
    for (size_t i = 0; i < answers.size(); i++) {
      bool last = i + 1 == answers.size();
      if (person.left && last && !answers[i].whole) return;
      assert_true(answers[i].whole);
      assert_int_equal(answers[i].status, person.wanted[i].status);
      assert_has(answers[i].body, person.wanted[i].part);
    }
  }

  Rng rng_;
  World w_;
  std::vector<Person> people_;
  uint64_t requests_ = 0;
};

void each_gets_its_own_answers_in_order(void**) {
  for (uint64_t seed = 1; seed <= kSeeds; seed++) {
    print_message("seed %llu\r", static_cast<unsigned long long>(seed));
    Swarm(seed).run();
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {cmocka_unit_test(each_gets_its_own_answers_in_order)};
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
