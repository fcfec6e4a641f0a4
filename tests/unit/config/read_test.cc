// Secrets: who may read them, and what becomes of what they name. The rest of read.cc is in the vectors.
#include "fixture.h"
#include "unit/wire/ranks.h"

namespace lb {
namespace {

std::string deployment(const std::string& members) {
  return "deployments: [{name: a, url: https://host, " + members + "}]";
}

std::string read(const std::string& members, MapSecrets& secrets) {
  return refusal(deployment(members), &secrets, SecretUse::read);
}

void secrets_are_read(void**) {
  MapSecrets secrets;
  secrets.variables = {{"KEY", "sk-1"}, {"PROXY", "http://u:p@proxy:1"}, {"CA", "-----BEGIN CA"}};
  secrets.files = {{"/run/org", "org"}, {"cert.pem", "-----BEGIN CERT"}, {"key.pem", "x\n-----BEGIN KEY"}};
  auto config = taken(deployment("key: {env: KEY}, headers: {x-org: {file: /run/org}}, proxy: {env: PROXY}, "
                                 "tls: {ca: {env: CA}, cert: cert.pem, key: {file: key.pem}}"),
                      &secrets, SecretUse::read);
  const Deployment& d = config->deployments[0];
  assert_text(d.key, "sk-1");
  assert_text(d.headers[0].value, "org");
  assert_text(d.proxy.authorization, "Basic dTpw");
  assert_text(d.tls.ca_pem, "-----BEGIN CA");
  assert_text(d.tls.cert_pem, "-----BEGIN CERT");
  assert_text(d.tls.key_pem, "x\n-----BEGIN KEY");
}

void pem_may_stand_in_the_document(void**) {
  auto config = taken(deployment("tls: {ca: \"-----BEGIN CERTIFICATE-----\\nx\"}"), nullptr, SecretUse::read);
  assert_text(config->deployments[0].tls.ca_pem, "-----BEGIN CERTIFICATE-----\nx");
}

void a_check_reads_nothing(void**) {
  struct Nobody : Secrets {
    int reads = 0;
    Result<std::string> env(std::string_view) override { return "env" + std::to_string(++reads); }
    Result<std::string> file(std::string_view) override { return "file" + std::to_string(++reads); }
  } nobody;
  std::string text = deployment("key: {env: KEY}, headers: {x-org: {file: a}}, proxy: {env: P}, "
                                "tls: {ca: a, cert: b, key: {file: c}}");
  assert_text(refusal(text, &nobody, SecretUse::check), "");
  assert_int_equal(nobody.reads, 0);
  assert_text(refusal(text, nullptr, SecretUse::check), "");
}

void without_leave_nothing_is_read(void**) {
  const std::string words =
      ": secrets and files are not read here; open the engine with LB_ENGINE_SECRETS, or write the text itself";
  auto refused = [](const char* members) { return refusal(deployment(members), nullptr, SecretUse::read); };
  assert_text(refused("key: sk-1"), "");
  assert_text(refused("key: {env: KEY}"), "/deployments/0/key" + words);
  assert_text(refused("key: {file: /etc/shadow}"), "/deployments/0/key" + words);
  assert_text(refused("headers: {x-a: {env: KEY}}"), "/deployments/0/headers/x-a" + words);
  assert_text(refused("proxy: {env: P}"), "/deployments/0/proxy" + words);
  assert_text(refused("tls: {ca: /etc/shadow}"), "/deployments/0/tls/ca" + words);
  assert_text(refused("tls: {ca: {env: CA}}"), "/deployments/0/tls/ca" + words);
}

void what_is_not_there(void**) {
  MapSecrets secrets;
  assert_text(read("key: {env: KEY}", secrets), "/deployments/0/key: the variable KEY is not set; set it");
  assert_text(read("key: {file: /no}", secrets), "/deployments/0/key: there is no file /no; write its path");
  assert_text(read("tls: {ca: /no}", secrets), "/deployments/0/tls/ca: there is no file /no; write its path");
  secrets.variables["KEY"] = "";
  assert_text(read("key: {env: KEY}", secrets), "/deployments/0/key: what {\"env\":\"KEY\"} names is empty; set it");
}

void what_is_read_is_checked(void**) {
  MapSecrets secrets;
  for (const char* bad : {"sk-secret\n", "sk-secret\r", "sk-\x7fsecret", "\x01sk-secret", "sk-secret\r\nX: y"}) {
    secrets.variables["KEY"] = bad;
    for (const char* place : {"key", "proxy"}) {
      std::string words = read(std::string(place) + ": {env: KEY}", secrets);
      assert_text(words, "/deployments/0/" + std::string(place) +
                             ": holds a line break or a control character; leave it out");
    }
  }
  secrets.variables["KEY"] = std::string("sk\0secret", 9);
  assert_text(read("key: {env: KEY}", secrets),
              "/deployments/0/key: holds a line break or a control character; leave it out");
  secrets.variables["KEY"] = "sk\t gr\xc3\xbc";
  assert_text(read("key: {env: KEY}", secrets), "");
  secrets.variables["KEY"] = "user:secret@proxy";
  assert_text(read("proxy: {env: KEY}", secrets), "/deployments/0/proxy: missing scheme; write http://host:port");
  secrets.files["pem"] = "secret";
  assert_text(read("tls: {ca: pem}", secrets),
              "/deployments/0/tls/ca: there is no PEM text in what it names; it begins with -----BEGIN");
}

void what_is_read_has_a_size(void**) {
  MapSecrets secrets;
  secrets.files["key"] = std::string(16384, 'k');
  assert_text(read("key: {file: key}", secrets), "");
  secrets.files["key"] += 'k';
  assert_text(read("key: {file: key}", secrets),
              "/deployments/0/key: what {\"file\":\"key\"} names has more than 16384 bytes; is it the right one?");
  std::string begin = "-----BEGIN";
  secrets.files["ca"] = begin + std::string(4194304 - begin.size(), 'x');
  assert_text(read("tls: {ca: ca}", secrets), "");
  secrets.files["ca"] += 'x';
  assert_text(read("tls: {ca: ca}", secrets),
              "/deployments/0/tls/ca: what \"ca\" names has more than 4194304 bytes; is it the right one?");
}

void ranks_are_loaded(void**) {
  const std::string text = deployment("") + "\ntokenizer: {file: ranks, encoding: o200k_base}";
  auto refused = [&](Secrets* secrets, SecretUse use) { return refusal(text, secrets, use); };
  MapSecrets secrets;
  assert_null(taken(deployment(""))->tokenizer.get());
  assert_text(refused(nullptr, SecretUse::check), "");
  assert_text(refused(nullptr, SecretUse::read),
              "/tokenizer/file: files are not read here; open the engine with LB_ENGINE_SECRETS, or leave this out");
  assert_text(refused(&secrets, SecretUse::read), "/tokenizer/file: there is no file ranks; write its path");
  secrets.files["ranks"] = rank_lines({"sB"});
  assert_int_equal(taken(text, &secrets, SecretUse::read)->tokenizer->count("sB"), 2);  // As o200k_base cuts.
  secrets.files["ranks"] += "sB";
  assert_text(refused(&secrets, SecretUse::read),
              "/tokenizer/file: the file ranks: line 258: no token in base64; write a rank file of tiktoken's, whose "
              "lines are a token in base64, a space and its rank");
}

void listeners_have_names(void**) {
  auto config = taken("listen: [{address: '127.0.0.1:0', name: a}, {address: '[::1]:0'}, {address: 'unix:x'}]\n" +
                      deployment(""));
  assert_text(config->listen[0].name, "a");
  assert_text(config->listen[1].name, "default");
  assert_text(config->listen[2].name, "default2");
}

void calls_are_hedged_where_it_is_written(void**) {
  auto hedge_of = [](const std::string& text) {
    return taken(deployment("models: [m]") + "\nroutes: [{model: m" + text + "}]")->routes[0].plan.hedge;
  };
  assert_false(hedge_of("").on());
  policy::HedgeSpec spec = hedge_of(", hedge: {}");
  assert_true(spec.percentile == 0.95 && spec.share == 0.05);
  assert_int_equal(spec.after_min.ms(), 50);
  assert_int_equal(spec.tokens_max, 8192);
  assert_int_equal(spec.money_max, 0);
  spec = hedge_of(", hedge: {percentile: 99, after_ms: 7, share: 0.5, tokens_max: 0, usd_max: 0.25}");
  assert_true(spec.percentile == 0.99 && spec.share == 0.5);
  assert_int_equal(spec.after_min.ms(), 7);
  assert_int_equal(spec.tokens_max, 0);
  assert_int_equal(spec.money_max, 250'000'000);
}

}  // namespace
}  // namespace lb

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(lb::secrets_are_read),           cmocka_unit_test(lb::pem_may_stand_in_the_document),
      cmocka_unit_test(lb::a_check_reads_nothing),      cmocka_unit_test(lb::without_leave_nothing_is_read),
      cmocka_unit_test(lb::what_is_not_there),          cmocka_unit_test(lb::what_is_read_is_checked),
      cmocka_unit_test(lb::what_is_read_has_a_size),    cmocka_unit_test(lb::ranks_are_loaded),
      cmocka_unit_test(lb::listeners_have_names),
      cmocka_unit_test(lb::calls_are_hedged_where_it_is_written),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
