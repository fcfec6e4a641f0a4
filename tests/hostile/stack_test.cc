// stack_test URL CERTIFICATE: hosts with small stacks. What lb does on a thread of the host is done on one of 64 KiB;
// an engine that the host drives does its TLS there too and gets 128. The stacks are painted before, so that how deep
// they were used can be said.
#include <pthread.h>
#include <sys/mman.h>

#include <atomic>
#include <functional>
#include <utility>

#include "hostile/process.h"

namespace {

using host::Host;

const char* url = nullptr;
const char* certificate = nullptr;

// Frames under ASan are several times as large, so there only that it works is tested.
constexpr size_t kScale = hostile::kAddressSanitizer ? 8 : 1;

// Runs it on a stack of that size, with a page behind that must not be touched; says how much was used.
size_t run_on_stack(size_t size, const std::function<void()>& work) {
  constexpr size_t kPage = 4096;
  constexpr unsigned char kPaint = 0xa5;
  size *= kScale;
  void* mapped = mmap(nullptr, size + kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_true(mapped != MAP_FAILED);
  auto* stack = static_cast<unsigned char*>(mapped) + kPage;
  assert_int_equal(mprotect(stack, size, PROT_READ | PROT_WRITE), 0);
  memset(stack, kPaint, size);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  assert_int_equal(pthread_attr_setstack(&attributes, stack, size), 0);
  pthread_t thread;
  auto start = [](void* given) -> void* {
    (*static_cast<const std::function<void()>*>(given))();
    return nullptr;
  };
  void* given = const_cast<std::function<void()>*>(&work);
  assert_int_equal(pthread_create(&thread, &attributes, start, given), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  size_t untouched = 0;
  while (untouched < size && stack[untouched] == kPaint) untouched++;
  munmap(mapped, size + kPage);
  return size - untouched;
}

void report(const char* what, size_t used, size_t of) {
  print_message("%s: %zu of %zu bytes of stack\n", what, used, of * kScale);
}

std::string tls_config() {
  return std::string("{\"deployments\":[{\"name\":\"up\",\"url\":\"") + url +
         "\",\"models\":[\"m\"],\"tls\":{\"ca\":\"" + certificate + "\"}}]}";
}

// Deep, long, and with everything that has a parser of its own.
std::string large_config() {
  std::string deployments;
  for (int i = 0; i < 200; i++)
    deployments += "{\"name\":\"d" + std::to_string(i) + "\",\"kind\":\"echo\",\"models\":{\"m\":{\"rpm\":100}}},";
  return "{\"deployments\":[" + deployments +
         "{\"name\":\"z\",\"kind\":\"echo\"}],"
         "\"errors\":[{\"pattern\":\"(a|b)*c\",\"as\":\"server\"}],\"listen\":[{\"address\":\"127.0.0.1:0\"}]}";
}

void everything_that_hosts_call(void**) {
  constexpr size_t kStack = 64 * 1024;
  size_t used = run_on_stack(kStack, [] {
    std::string config = large_config();
    lb_error error = {sizeof error, 0, "", ""};
    assert_int_equal(lb_config_check(config.data(), config.size(), &error), LB_OK);
    std::string yaml = "deployments:\n  - {name: a, kind: echo}\n", deep(10'000, '[');
    assert_int_equal(lb_config_check(yaml.data(), yaml.size(), &error), LB_OK);
    assert_int_equal(lb_config_check(deep.data(), deep.size(), &error), LB_CONFIG);
    deep = "a: " + deep;
    assert_int_equal(lb_config_check(deep.data(), deep.size(), &error), LB_CONFIG);
    assert_non_null(lb_config_schema());
    Host h(config);
    for (int i = 0; i < 10; i++) assert_int_equal(h.finish(h.start(host::chat_body(i % 2))).status, LB_OK);
    assert_int_equal(lb_engine_configure(h.engine, config.data(), config.size(), nullptr), LB_OK);
    assert_true(h.stats().size() > 1000 && h.stats(1).size() > 1000);
    char address[64];
    assert_true(lb_engine_address(h.engine, "default", 7, address, sizeof address) > 0);
  });
  report("config, engine, queue, calls, stats", used, kStack);
}

void an_engine_that_the_host_drives(void**) {
  constexpr size_t kStack = 128 * 1024;
  for (bool tls : {false, true}) {
    size_t used = run_on_stack(kStack, [&] {
      Host::Options options;
      options.flags = LB_ENGINE_DRIVEN | LB_ENGINE_SECRETS;
      Host h(tls ? tls_config() : large_config(), options);
      for (int i = 0; i < 3; i++) {
        lb_call call = h.start(host::chat_body(false));
        for (int turns = 0; turns < 20'000 && !h[call].done(); turns++) {
          lb_engine_turn(h.engine);
          h.poll(1);
        }
        if (h[call].status != LB_OK) fail_msg("%d: %s", h[call].status, h[call].message.c_str());
      }
    });
    report(tls ? "turns with TLS" : "turns", used, kStack);
  }
}

// Of the mapping in which `place` lies, by /proc/self/smaps: its size, and how much of it has been touched.
std::pair<size_t, size_t> mapping_of(uintptr_t place) {
  FILE* file = fopen("/proc/self/smaps", "re");
  char line[512];
  bool within = false;
  size_t size_kb = 0, touched_kb = 0;
  while (fgets(line, sizeof line, file)) {
    uintptr_t from = 0, to = 0;
    if (sscanf(line, "%zx-%zx ", &from, &to) == 2) within = from <= place && place < to;
    if (within) sscanf(line, "Size: %zu kB", &size_kb);
    if (within) sscanf(line, "Rss: %zu kB", &touched_kb);
  }
  fclose(file);
  return {size_kb * 1024, touched_kb * 1024};
}

// On the engine's thread.
struct Place {
  std::atomic<uintptr_t> stack{0};
  std::atomic<int> done{0};
};
void note_place(void* given, const lb_event* events, size_t count) {
  auto* place = static_cast<Place*>(given);
  place->stack = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  for (size_t i = 0; i < count; i++) place->done += events[i].kind == LB_EVENT_DONE && events[i].status == LB_OK;
}

void lbs_own_thread_needs_what_it_says(void**) {
  if (hostile::kAddressSanitizer) {
    print_message("SKIPPED: how much of its own stack lb uses, which ASan multiplies\n");
    skip();
  }
  Place place;
  Host::Options options;
  options.flags = LB_ENGINE_SECRETS;
  options.queue = false;
  Host h(tls_config(), options);
  lb_queue_options deliver = {};
  deliver.struct_size = sizeof deliver;
  deliver.deliver = note_place;
  deliver.ctx = &place;
  assert_int_equal(lb_queue_open(h.engine, &deliver, &h.queue, nullptr), LB_OK);
  lb_call_options whole = host::call_options(LB_DELIVER_WHOLE);
  for (int i = 0; i < 5; i++) h.start(host::chat_body(false), &whole);
  for (int i = 0; i < host::kPatienceMs && place.done < 5; i++) usleep(1000);
  assert_int_equal(place.done, 5);
  auto [size, touched] = mapping_of(place.stack);
  report("lb's own thread with TLS", touched, size);
  assert_int_equal(size, 1024 * 1024);           // EngineThread::kStackBytes.
  assert_in_range(touched, 4096, 512 * 1024);  // Half is left for a host's `deliver`.
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  url = argv[1];
  certificate = argv[2];
  const CMUnitTest tests[] = {
      cmocka_unit_test(everything_that_hosts_call),
      cmocka_unit_test(an_engine_that_the_host_drives),
      cmocka_unit_test(lbs_own_thread_needs_what_it_says),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
