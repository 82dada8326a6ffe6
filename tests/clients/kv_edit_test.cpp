// kv's changes beside plain setting, as a client sees them: time to live, patches, increments,
// transactions, whole buckets; and looking into values. Not what watchers see: kv_watch_test.cpp.
//
// Contents: time to live · patches · increments · looking into values · transactions · whole
// buckets
#include <fmt/format.h>

#include <filesystem>
#include <regex>
#include <thread>
#include <vector>

#include "support/daemon_fixture.hpp"

namespace larder::test {
namespace {

constexpr const char* kMerge = "Content-Type: application/merge-patch+json\r\n";
constexpr const char* kPatch = "Content-Type: application/json-patch+json\r\n";

class KvEditTest : public DaemonFixture {
    CPPUNIT_TEST_SUITE(KvEditTest);
    CPPUNIT_TEST(ends_values_when_their_time_comes);
    CPPUNIT_TEST(keeps_or_drops_a_deadline);
    CPPUNIT_TEST(deadlines_outlive_the_daemon);
    CPPUNIT_TEST(refuses_bad_ttls);
    CPPUNIT_TEST(merges);
    CPPUNIT_TEST(patches);
    CPPUNIT_TEST(patches_keep_ttl_and_metadata);
    CPPUNIT_TEST(refuses_patches);
    CPPUNIT_TEST(patches_obey_conditions);
    CPPUNIT_TEST(patches_large_values);
    CPPUNIT_TEST(no_patch_is_lost);
    CPPUNIT_TEST(increments);
    CPPUNIT_TEST(increments_whatever_is_an_integer);
    CPPUNIT_TEST(refuses_increments);
    CPPUNIT_TEST(no_increment_is_lost);
    CPPUNIT_TEST(picks_parts);
    CPPUNIT_TEST(filters_lists);
    CPPUNIT_TEST(carries_out_transactions);
    CPPUNIT_TEST(transactions_are_all_or_nothing);
    CPPUNIT_TEST(transactions_touch_a_key_twice);
    CPPUNIT_TEST(refuses_transactions);
    CPPUNIT_TEST(takes_a_thousand_ops);
    CPPUNIT_TEST(folds_when_asked);
    CPPUNIT_TEST(a_key_may_be_named_checkpoint);
    CPPUNIT_TEST(removes_a_bucket);
    CPPUNIT_TEST(empties_a_built_in_bucket);
    CPPUNIT_TEST_SUITE_END();

public:
    // ---- time to live

    void ends_values_when_their_time_comes() {
        const Answer put = send("PUT", "/api/kv/storage/t?ttl=0.5", {}, "1");
        CPPUNIT_ASSERT_EQUAL(201, put.status);
        const std::regex form(R"re(.*"updated_at":"[^"]+","expires_at":"\d{4}-[^"]+Z"\})re");
        CPPUNIT_ASSERT_MESSAGE(put.body, std::regex_match(put.body, form));
        CPPUNIT_ASSERT(eventually([&] { return send("GET", "/api/kv/storage/t").status == 404; }));
        // As if it had never been, for every route.
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"items":[],"next":null})"),
                             send("GET", "/api/kv/storage").body);
        CPPUNIT_ASSERT_EQUAL(std::string("{}"), send("GET", "/api/kv/storage?all=true").body);
        // And a change of its own, that comes by itself.
        CPPUNIT_ASSERT(eventually(
            [&] { return send("GET", "/api/kv/storage").header("Larder-Revision") == "1-2"; }));
        send("PUT", "/api/kv/storage/t?ttl=0.001", {}, "1");
        CPPUNIT_ASSERT(eventually(
            [&] { return outcome("DELETE", "/api/kv/storage/t") == "404 key-not-found"; }));
        CPPUNIT_ASSERT_EQUAL(std::string("201"),
                             outcome("PUT", "/api/kv/storage/t", "If-None-Match: *\r\n", "2"));
        CPPUNIT_ASSERT(
            send("GET", "/api/kv/storage/t?meta=true").body.find(R"("expires_at":null)") !=
            std::string::npos);
    }

    void keeps_or_drops_a_deadline() {
        const auto deadline = [&](const std::string& query) {
            return send("PUT", "/api/kv/storage/k" + query, {}, "1").member("expires_at");
        };
        CPPUNIT_ASSERT_EQUAL(std::string(), deadline("?ttl=keep"));
        const std::string first = deadline("?ttl=1000");
        CPPUNIT_ASSERT(!first.empty());
        CPPUNIT_ASSERT_EQUAL(first, deadline("?ttl=keep"));
        CPPUNIT_ASSERT(deadline("?ttl=5000") > first);
        CPPUNIT_ASSERT_EQUAL(std::string(), deadline(""));
        CPPUNIT_ASSERT_EQUAL(std::string(), deadline("?ttl=keep"));
    }

    void deadlines_outlive_the_daemon() {
        send("PUT", "/api/kv/storage/long?ttl=1000", {}, "1");
        send("PUT", "/api/kv/storage/short?ttl=0.2", {}, "1");
        const std::string expires =
            send("GET", "/api/kv/storage/long?meta=true").member("expires_at");
        CPPUNIT_ASSERT(!expires.empty());
        for (const bool clean : {true, false}) {
            if (clean) {
                restart();
            } else {
                kill_and_start();
            }
            CPPUNIT_ASSERT_EQUAL(
                expires, send("GET", "/api/kv/storage/long?meta=true").member("expires_at"));
            CPPUNIT_ASSERT(
                eventually([&] { return send("GET", "/api/kv/storage/short").status == 404; }));
            CPPUNIT_ASSERT(eventually(
                [&] { return send("GET", "/api/kv/storage").header("Larder-Revision") == "1-3"; }));
        }
    }

    void refuses_bad_ttls() {
        for (const char* ttl : {"0", "-1", "", "ten", "1s", "nan", "inf", "1e400", "3155760001",
                                "0x10", "1,5", "Keep"}) {
            const Answer answer =
                send("PUT", fmt::format("/api/kv/storage/t?ttl={}", ttl), {}, "1");
            CPPUNIT_ASSERT_EQUAL_MESSAGE(ttl, 400, answer.status);
            CPPUNIT_ASSERT_EQUAL(std::string("invalid-parameter"), answer.member("code"));
            CPPUNIT_ASSERT_EQUAL(std::string("ttl"), answer.member("parameter"));
        }
        CPPUNIT_ASSERT_EQUAL(404, send("GET", "/api/kv/storage/t").status);
        for (const char* ttl : {"1e3", "0.5", "3155760000"}) {
            CPPUNIT_ASSERT(
                send("PUT", fmt::format("/api/kv/storage/t?ttl={}", ttl), {}, "1").status < 300);
        }
    }

    // ---- patches

    void merges() {
        send("PUT", "/api/kv/storage/m", {}, R"({"a":1e400,"b":{"c":0.10,"d":2}})");
        const Answer patched =
            send("PATCH", "/api/kv/storage/m", kMerge, R"({"b": {"d": null, "e": 3}})");
        CPPUNIT_ASSERT_EQUAL(200, patched.status);
        CPPUNIT_ASSERT_EQUAL(std::string("\"2\""), patched.header("ETag"));
        CPPUNIT_ASSERT_EQUAL(std::string("1-2"), patched.header("Larder-Revision"));
        CPPUNIT_ASSERT(patched.body.starts_with(R"({"key":"m","revision":2,"created_at":")"));
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"a":1e400,"b":{"c":0.10,"e":3}})"),
                             send("GET", "/api/kv/storage/m").body);
        CPPUNIT_ASSERT_EQUAL(
            std::string("200"),
            outcome("PATCH", "/api/kv/storage/m",
                    "Content-Type: Application/Merge-Patch+JSON; charset=utf-8\r\n", "[1]"));
        CPPUNIT_ASSERT_EQUAL(std::string("[1]"), send("GET", "/api/kv/storage/m").body);
    }

    void patches() {
        send("PUT", "/api/kv/storage/p", {}, R"({"list":[1,2],"n":1.0})");
        CPPUNIT_ASSERT_EQUAL(
            std::string("200"),
            outcome(
                "PATCH", "/api/kv/storage/p", kPatch,
                R"([{"op":"test","path":"/n","value":1},{"op":"add","path":"/list/-","value":3}])"));
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"list":[1,2,3],"n":1.0})"),
                             send("GET", "/api/kv/storage/p").body);
        const Answer failed =
            send("PATCH", "/api/kv/storage/p", kPatch,
                 R"([{"op":"remove","path":"/n"},{"op":"test","path":"/list/0","value":9}])");
        CPPUNIT_ASSERT_EQUAL(409, failed.status);
        CPPUNIT_ASSERT_EQUAL(std::string("patch-test-failed"), failed.member("code"));
        CPPUNIT_ASSERT_EQUAL(std::string("/1"), failed.member("pointer"));
        CPPUNIT_ASSERT_EQUAL(std::string("1-2"), failed.header("Larder-Revision"));
        CPPUNIT_ASSERT_EQUAL(
            std::string("409 patch-failed"),
            outcome("PATCH", "/api/kv/storage/p", kPatch, R"([{"op":"remove","path":"/none"}])"));
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"list":[1,2,3],"n":1.0})"),
                             send("GET", "/api/kv/storage/p").body);
    }

    void patches_keep_ttl_and_metadata() {
        send("PUT", "/api/kv/storage/k?ttl=1000", "Larder-Metadata: {\"m\":1}\r\n", "{}");
        const std::string before = send("GET", "/api/kv/storage/k?meta=true").body;
        CPPUNIT_ASSERT_EQUAL(std::string("200"),
                             outcome("PATCH", "/api/kv/storage/k", kMerge, R"({"a":1})"));
        const Answer after = send("GET", "/api/kv/storage/k?meta=true");
        CPPUNIT_ASSERT(after.body.find(R"("metadata":{"m":1})") != std::string::npos);
        const std::string expires = after.member("expires_at");
        CPPUNIT_ASSERT(!expires.empty());
        CPPUNIT_ASSERT(before.find(expires) != std::string::npos);
        CPPUNIT_ASSERT(before.find(after.member("created_at")) != std::string::npos);
    }

    void refuses_patches() {
        send("PUT", "/api/kv/storage/r", {}, "{}");
        const auto patch = [&](const char* type, const std::string& body) {
            return outcome("PATCH", "/api/kv/storage/r", type, body);
        };
        CPPUNIT_ASSERT_EQUAL(std::string("415 unsupported-media-type"), patch("", "{}"));
        for (const char* type : {"application/json", "application/x-www-form-urlencoded",
                                 "application/x+json", "text/plain"}) {
            CPPUNIT_ASSERT_EQUAL(std::string("415 unsupported-media-type"),
                                 patch(fmt::format("Content-Type: {}\r\n", type).c_str(), "{}"));
        }
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-json"), patch(kMerge, ""));
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-json"), patch(kMerge, "{"));
        CPPUNIT_ASSERT_EQUAL(std::string("422 invalid-patch"), patch(kPatch, "{}"));
        CPPUNIT_ASSERT_EQUAL(std::string("422 invalid-patch"),
                             patch(kPatch, R"([{"op":"grow","path":""}])"));
        CPPUNIT_ASSERT_EQUAL(std::string("404 key-not-found"),
                             outcome("PATCH", "/api/kv/storage/none", kMerge, "{}"));
        CPPUNIT_ASSERT_EQUAL(std::string("404 bucket-not-found"),
                             outcome("PATCH", "/api/kv/none/none", kMerge, "{}"));
        CPPUNIT_ASSERT_EQUAL(std::string("1-1"),
                             send("GET", "/api/kv/storage").header("Larder-Revision"));
    }

    void patches_obey_conditions() {
        send("PUT", "/api/kv/storage/c", {}, "{}");
        const auto patch = [&](const std::string& headers) {
            return outcome("PATCH", "/api/kv/storage/c", kMerge + headers, R"({"a":1})");
        };
        CPPUNIT_ASSERT_EQUAL(std::string("412 precondition-failed"), patch("If-Match: \"9\"\r\n"));
        CPPUNIT_ASSERT_EQUAL(std::string("412 precondition-failed"), patch("If-None-Match: *\r\n"));
        CPPUNIT_ASSERT_EQUAL(std::string("200"), patch("If-Match: \"1\"\r\n"));
        CPPUNIT_ASSERT_EQUAL(std::string("412 precondition-failed"), patch("If-Match: \"1\"\r\n"));
    }

    void patches_large_values() {
        const std::string large(600'000, 'x');
        send("PUT", "/api/kv/storage/big", {}, fmt::format(R"({{"a":"{}"}})", large));
        CPPUNIT_ASSERT_EQUAL(std::string("200"),
                             outcome("PATCH", "/api/kv/storage/big", kMerge, R"({"b":[1]})"));
        CPPUNIT_ASSERT_EQUAL(fmt::format(R"({{"a":"{}","b":[1]}})", large),
                             send("GET", "/api/kv/storage/big").body);
        const Answer over =
            send("PATCH", "/api/kv/storage/big", kMerge, fmt::format(R"({{"c":"{}"}})", large));
        CPPUNIT_ASSERT_EQUAL(413, over.status);
        CPPUNIT_ASSERT_EQUAL(std::string("value-too-large"), over.member("code"));
        CPPUNIT_ASSERT_EQUAL(std::string("412 precondition-failed"),
                             outcome("PATCH", "/api/kv/storage/big",
                                     std::string(kMerge) + "If-Match: \"1\"\r\n", "{}"));
        CPPUNIT_ASSERT_EQUAL(std::string("200"), outcome("PATCH", "/api/kv/storage/big", kPatch,
                                                         R"([{"op":"remove","path":"/a"}])"));
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"b":[1]})"), send("GET", "/api/kv/storage/big").body);
    }

    // Small ones are applied where they are written, large ones apart.
    void no_patch_is_lost() {
        for (const std::size_t size : {std::size_t{10}, std::size_t{200'000}}) {
            send("PUT", "/api/kv/storage/race", {},
                 fmt::format(R"({{"fill":"{}"}})", std::string(size, 'x')));
            {
                std::vector<std::jthread> clients;
                for (int i = 0; i < 6; ++i) {
                    clients.emplace_back([this, i] {
                        RawClient client(daemon_->port());
                        for (int j = 0; j < 10; ++j) {
                            client.request("PATCH", "/api/kv/storage/race", kMerge,
                                           fmt::format(R"({{"{}-{}":1}})", i, j));
                        }
                    });
                }
            }
            const std::string merged = send("GET", "/api/kv/storage/race").body;
            for (int i = 0; i < 60; ++i) {
                const std::string name = fmt::format(R"("{}-{}":1)", i / 10, i % 10);
                CPPUNIT_ASSERT_MESSAGE(name, merged.find(name) != std::string::npos);
            }
        }
    }

    // ---- increments

    void increments() {
        const Answer first = send("POST", "/api/kv/storage/n/increment");
        CPPUNIT_ASSERT_EQUAL(200, first.status);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"value":1,"revision":1})"), first.body);
        CPPUNIT_ASSERT_EQUAL(std::string("\"1\""), first.header("ETag"));
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"value":-4,"revision":2})"),
                             send("POST", "/api/kv/storage/n/increment", {}, R"({"by":-5})").body);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"value":-3,"revision":3})"),
                             send("POST", "/api/kv/storage/n/increment", {}, "{}").body);
        CPPUNIT_ASSERT_EQUAL(std::string("-3"), send("GET", "/api/kv/storage/n").body);
        send("PUT", "/api/kv/storage/kept?ttl=1000", "Larder-Metadata: {\"m\":1}\r\n", "1");
        send("POST", "/api/kv/storage/kept/increment");
        const Answer kept = send("GET", "/api/kv/storage/kept?meta=true");
        CPPUNIT_ASSERT(!kept.member("expires_at").empty());
        CPPUNIT_ASSERT(kept.body.find(R"("metadata":{"m":1})") != std::string::npos);
        // A key may end so itself.
        CPPUNIT_ASSERT_EQUAL(std::string("201"),
                             outcome("PUT", "/api/kv/storage/a/increment", {}, "7"));
        CPPUNIT_ASSERT_EQUAL(std::string("7"), send("GET", "/api/kv/storage/a/increment").body);
        CPPUNIT_ASSERT_EQUAL(
            std::string(R"("value":8)"),
            send("POST", "/api/kv/storage/a/increment/increment").body.substr(1, 9));
        CPPUNIT_ASSERT_EQUAL(std::string("404 key-not-found"), outcome("GET", "/api/kv/storage/a"));
        CPPUNIT_ASSERT_EQUAL(std::string("412 precondition-failed"),
                             outcome("POST", "/api/kv/storage/n/increment", "If-Match: \"1\"\r\n"));
        CPPUNIT_ASSERT_EQUAL(std::string("200"),
                             outcome("POST", "/api/kv/counters/hits/increment"));
    }

    void increments_whatever_is_an_integer() {
        for (const auto& [value, sum] : std::vector<std::pair<const char*, const char*>>{
                 {"1.0", "2"},
                 {"1e3", "1001"},
                 {"-0", "1"},
                 {"0.0e-99999999999999999999", "1"},
                 {"120e-1", "13"},
                 {"9223372036854775806", "9223372036854775807"},
                 {"-9223372036854775808", "-9223372036854775807"}}) {
            send("PUT", "/api/kv/storage/i", {}, value);
            const Answer answer = send("POST", "/api/kv/storage/i/increment");
            CPPUNIT_ASSERT_EQUAL_MESSAGE(value, 200, answer.status);
            CPPUNIT_ASSERT_EQUAL(std::string(sum), send("GET", "/api/kv/storage/i").body);
        }
    }

    void refuses_increments() {
        for (const char* value :
             {"\"1\"", "null", "true", "[]", "{}", "1.5", "1e-1", "1e19", "9223372036854775807",
              "9223372036854775808", "1e99999999999999999999"}) {
            send("PUT", "/api/kv/storage/i", {}, value);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(value, std::string("409 not-a-number"),
                                         outcome("POST", "/api/kv/storage/i/increment"));
            CPPUNIT_ASSERT_EQUAL(std::string(value), send("GET", "/api/kv/storage/i").body);
        }
        const auto by = [&](const std::string& body) {
            return send("POST", "/api/kv/storage/fresh/increment", {}, body);
        };
        for (const char* body : {"1", "[]", R"({"by":"1"})", R"({"by":1.5})", R"({"by":null})",
                                 R"({"by":9223372036854775808})", R"({"by":1,"x":1})"}) {
            const Answer answer = by(body);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(body, 422, answer.status);
            CPPUNIT_ASSERT_EQUAL(std::string("invalid-field"), answer.member("code"));
        }
        CPPUNIT_ASSERT_EQUAL(std::string("/x"), by(R"({"x":1})").member("pointer"));
        CPPUNIT_ASSERT_EQUAL(std::string("invalid-json"), by("{").member("code"));
        CPPUNIT_ASSERT_EQUAL(404, send("GET", "/api/kv/storage/fresh").status);
    }

    void no_increment_is_lost() {
        {
            std::vector<std::jthread> clients;
            for (int i = 0; i < 8; ++i) {
                clients.emplace_back([this] {
                    RawClient client(daemon_->port());
                    for (int j = 0; j < 50; ++j) {
                        client.request("POST", "/api/kv/storage/sum/increment", {}, R"({"by":2})");
                    }
                });
            }
        }
        CPPUNIT_ASSERT_EQUAL(std::string("800"), send("GET", "/api/kv/storage/sum").body);
    }

    // ---- looking into values

    void picks_parts() {
        send("PUT", "/api/kv/storage/v", {}, R"({"a":[10,{"b/c":1e400}],"":0,"~":"\u00e9"})");
        const auto part = [&](const std::string& pointer) {
            return send("GET", "/api/kv/storage/v?pointer=" + pointer);
        };
        CPPUNIT_ASSERT_EQUAL(std::string("10"), part("/a/0").body);
        CPPUNIT_ASSERT_EQUAL(std::string("\"1\""), part("/a/0").header("ETag"));
        CPPUNIT_ASSERT_EQUAL(std::string("1e400"), part("/a/1/b~1c").body);
        CPPUNIT_ASSERT_EQUAL(std::string("0"), part("/").body);
        CPPUNIT_ASSERT_EQUAL(std::string("\"\\u00e9\""), part("/~0").body);
        CPPUNIT_ASSERT(part("").body.starts_with("{\"a\""));
        for (const char* pointer : {"/a/2", "/a/-", "/a/00", "/none", "/a/0/x"}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(pointer, std::string("pointer-not-found"),
                                         part(pointer).member("code"));
            CPPUNIT_ASSERT_EQUAL(404, part(pointer).status);
            CPPUNIT_ASSERT_EQUAL(std::string("1-1"), part(pointer).header("Larder-Revision"));
        }
        CPPUNIT_ASSERT_EQUAL(std::string("invalid-parameter"), part("a").member("code"));
        CPPUNIT_ASSERT_EQUAL(400, part("/~2").status);
        CPPUNIT_ASSERT_EQUAL(400, part("/a&meta=true").status);
        CPPUNIT_ASSERT_EQUAL(
            304, send("GET", "/api/kv/storage/v?pointer=/a", "If-None-Match: \"1\"\r\n").status);
        const std::string large = fmt::format(R"({{"x":"{}","y":[7]}})", std::string(300'000, 'x'));
        send("PUT", "/api/kv/storage/v", {}, large);
        CPPUNIT_ASSERT_EQUAL(std::string("[7]"), part("/y").body);
        CPPUNIT_ASSERT_EQUAL(std::size_t{300'002}, part("/x").body.size());
        CPPUNIT_ASSERT_EQUAL(std::string("pointer-not-found"), part("/z").member("code"));
    }

    void filters_lists() {
        for (int i = 0; i < 30; ++i) {
            send("PUT", fmt::format("/api/kv/storage/{:02}", i), {},
                 fmt::format(R"({{"n":{},"odd":{}}})", i, i % 2 == 1));
        }
        const auto list = [&](const std::string& query) {
            return send("GET", "/api/kv/storage?values=true&" + query);
        };
        CPPUNIT_ASSERT_EQUAL(
            std::string(
                R"({"items":[{"key":"29","revision":30,"value":{"n":29,"odd":true}}],"next":null})"),
            list("where=/n%3E=28&where=/odd=true").body);
        std::string seen;
        std::string cursor;
        int pages = 0;
        do {
            const Answer page =
                list("where=/odd=false&limit=4" + (cursor.empty() ? "" : "&cursor=" + cursor));
            const std::regex item(R"re("key":"(\d\d)")re");
            for (std::sregex_iterator at(page.body.begin(), page.body.end(), item), end; at != end;
                 ++at) {
                seen += (*at)[1].str() + " ";
            }
            cursor = page.member("next");
            ++pages;
        } while (!cursor.empty());
        CPPUNIT_ASSERT_EQUAL(4, pages);
        CPPUNIT_ASSERT_EQUAL(std::string("00 02 04 06 08 10 12 14 16 18 20 22 24 26 28 "), seen);
        for (const char* where : {"where=", "where=/n", "where=/n=", "where=n=1", "where=/n=1x"}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(where, std::string("where"),
                                         list(where).member("parameter"));
        }
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-parameter"),
                             outcome("GET", "/api/kv/storage?all=true&where=/n=1"));
    }

    // ---- transactions

    void carries_out_transactions() {
        send("PUT", "/api/kv/storage/k", {}, "1");
        send("PUT", "/api/kv/storage/x", {}, "1");
        const Answer done = send("POST", "/api/kv/storage", {}, R"({
            "if": [{"key": "k", "revision": 1}, {"key": "n", "exists": false}],
            "ops": [{"op": "set", "key": "k", "value": {"a": 1.0}, "ttl": 60, "metadata": {"m": 1}},
                    {"op": "delete", "key": "x"}, {"op": "delete", "key": "never"},
                    {"op": "increment", "key": "n", "by": 2}]})");
        CPPUNIT_ASSERT_EQUAL(200, done.status);
        CPPUNIT_ASSERT_EQUAL(
            std::string(
                R"({"revision":3,"results":[{"key":"k","revision":3},{"key":"x","deleted":true},)"
                R"({"key":"never","deleted":false},{"key":"n","value":2,"revision":3}]})"),
            done.body);
        CPPUNIT_ASSERT_EQUAL(std::string("1-3"), done.header("Larder-Revision"));
        const Answer record = send("GET", "/api/kv/storage/k?meta=true");
        CPPUNIT_ASSERT(record.body.find(R"("value":{"a":1.0})") != std::string::npos);
        CPPUNIT_ASSERT(record.body.find(R"("metadata":{"m":1})") != std::string::npos);
        CPPUNIT_ASSERT(!record.member("expires_at").empty());
        CPPUNIT_ASSERT_EQUAL(404, send("GET", "/api/kv/storage/x").status);
        kill_and_start();
        CPPUNIT_ASSERT_EQUAL(std::string("2"), send("GET", "/api/kv/storage/n").body);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"revision":3,"results":[]})"),
                             send("POST", "/api/kv/storage", {}, R"({"ops":[]})").body);
        CPPUNIT_ASSERT_EQUAL(std::string("200"),
                             outcome("POST", "/api/kv/made-by-one", {},
                                     R"({"ops":[{"op":"set","key":"a","value":null}]})"));
    }

    void transactions_are_all_or_nothing() {
        send("PUT", "/api/kv/storage/text", {}, "\"no number\"");
        const Answer failed = send("POST", "/api/kv/storage", {},
                                   R"({"ops":[{"op":"set","key":"a","value":1},
                                              {"op":"increment","key":"text"}]})");
        CPPUNIT_ASSERT_EQUAL(409, failed.status);
        CPPUNIT_ASSERT_EQUAL(std::string("not-a-number"), failed.member("code"));
        CPPUNIT_ASSERT_EQUAL(std::string("/ops/1"), failed.member("pointer"));
        CPPUNIT_ASSERT_EQUAL(404, send("GET", "/api/kv/storage/a").status);
        const Answer refused = send("POST", "/api/kv/storage", {},
                                    R"({"if":[{"key":"text","exists":true},
                                              {"key":"text","revision":9},
                                              {"key":"text","exists":false}],
                                        "ops":[{"op":"delete","key":"text"}]})");
        CPPUNIT_ASSERT_EQUAL(412, refused.status);
        CPPUNIT_ASSERT_EQUAL(std::string("precondition-failed"), refused.member("code"));
        CPPUNIT_ASSERT(refused.body.find(R"("condition":1)") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(200, send("GET", "/api/kv/storage/text").status);
        CPPUNIT_ASSERT_EQUAL(std::string("1-1"),
                             send("GET", "/api/kv/storage").header("Larder-Revision"));
        CPPUNIT_ASSERT_EQUAL(
            std::string("412 precondition-failed"),
            outcome("POST", "/api/kv/none", {}, R"({"if":[{"key":"a","exists":true}],"ops":[]})"));
        CPPUNIT_ASSERT_EQUAL(404, send("GET", "/api/kv/none").status);
    }

    void transactions_touch_a_key_twice() {
        const Answer done = send("POST", "/api/kv/storage", {},
                                 R"({"ops":[{"op":"increment","key":"n"},
                                            {"op":"increment","key":"n","by":10},
                                            {"op":"set","key":"gone","value":1},
                                            {"op":"delete","key":"gone"}]})");
        CPPUNIT_ASSERT_EQUAL(200, done.status);
        CPPUNIT_ASSERT(done.body.find(R"({"key":"gone","deleted":true})") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::string("11"), send("GET", "/api/kv/storage/n").body);
        CPPUNIT_ASSERT_EQUAL(404, send("GET", "/api/kv/storage/gone").status);
    }

    void refuses_transactions() {
        const std::vector<std::pair<std::string, std::string>> wrong = {
            {"[]", ""},
            {"1", ""},
            {"{}", "/ops"},
            {R"({"ops":{}})", "/ops"},
            {R"({"ops":[],"x~/y":1})", "/x~0~1y"},
            {R"({"ops":[],"if":{}})", "/if"},
            {R"({"ops":[1]})", "/ops/0"},
            {R"({"ops":[{"key":"a"}]})", "/ops/0/op"},
            {R"({"ops":[{"op":"grow","key":"a"}]})", "/ops/0/op"},
            {R"({"ops":[{"op":"delete"}]})", "/ops/0/key"},
            {R"({"ops":[{"op":"delete","key":1}]})", "/ops/0/key"},
            {R"({"ops":[{"op":"delete","key":""}]})", "/ops/0/key"},
            {R"({"ops":[{"op":"delete","key":"a\u0000"}]})", "/ops/0/key"},
            {fmt::format(R"({{"ops":[{{"op":"delete","key":"{}"}}]}})", std::string(1025, 'k')),
             "/ops/0/key"},
            {R"({"ops":[{"op":"delete","key":"a","value":1}]})", "/ops/0/value"},
            {R"({"ops":[{"op":"delete","key":"a"},{"op":"set","key":"a"}]})", "/ops/1/value"},
            {R"({"ops":[{"op":"set","key":"a","value":1,"ttl":0}]})", "/ops/0/ttl"},
            {R"({"ops":[{"op":"set","key":"a","value":1,"ttl":"60"}]})", "/ops/0/ttl"},
            {R"({"ops":[{"op":"set","key":"a","value":1,"metadata":[]}]})", "/ops/0/metadata"},
            {R"({"ops":[{"op":"set","key":"a","value":1,"by":1}]})", "/ops/0/by"},
            {R"({"ops":[{"op":"increment","key":"a","by":1.5}]})", "/ops/0/by"},
            {R"({"ops":[{"op":"increment","key":"a","ttl":5}]})", "/ops/0/ttl"},
            {R"({"ops":[],"if":[{"key":"a"}]})", "/if/0/revision"},
            {R"({"ops":[],"if":[{"key":"a","revision":0}]})", "/if/0/revision"},
            {R"({"ops":[],"if":[{"key":"a","revision":"7"}]})", "/if/0/revision"},
            {R"({"ops":[],"if":[{"key":"a","exists":1}]})", "/if/0/exists"},
            {R"({"ops":[],"if":[{"key":"a","exists":true,"etag":1}]})", "/if/0/etag"},
        };
        for (const auto& [body, pointer] : wrong) {
            const Answer answer = send("POST", "/api/kv/storage", {}, body);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(body, 422, answer.status);
            CPPUNIT_ASSERT_EQUAL(std::string("invalid-field"), answer.member("code"));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(body, pointer, answer.member("pointer"));
        }
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-json"),
                             outcome("POST", "/api/kv/storage", {}, "{"));
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-json"), outcome("POST", "/api/kv/storage"));
        CPPUNIT_ASSERT_EQUAL(
            std::string("415 unsupported-media-type"),
            outcome("POST", "/api/kv/storage", "Content-Type: text/plain\r\n", R"({"ops":[]})"));
        CPPUNIT_ASSERT_EQUAL(
            std::string("400 condition-not-supported"),
            outcome("POST", "/api/kv/storage", "If-Match: *\r\n", R"({"ops":[]})"));
        CPPUNIT_ASSERT_EQUAL(std::string("400 invalid-bucket"),
                             outcome("POST", "/api/kv/No", {}, R"({"ops":[]})"));
        const std::string over = fmt::format(R"({{"ops":[{{"op":"set","key":"a","value":"{}"}}]}})",
                                             std::string(1U << 20U, 'x'));
        CPPUNIT_ASSERT_EQUAL(std::string("413 value-too-large"),
                             outcome("POST", "/api/kv/storage", {}, over));
        CPPUNIT_ASSERT_EQUAL(std::string("1-0"),
                             send("GET", "/api/kv/storage").header("Larder-Revision"));
    }

    void takes_a_thousand_ops() {
        const auto body = [](int count) {
            std::string ops;
            for (int i = 0; i < count; ++i) {
                ops += fmt::format(R"({}{{"op":"set","key":"{}","value":{}}})", i > 0 ? "," : "", i,
                                   i);
            }
            return fmt::format(R"({{"ops":[{}]}})", ops);
        };
        const Answer over = send("POST", "/api/kv/storage", {}, body(1001));
        CPPUNIT_ASSERT_EQUAL(422, over.status);
        CPPUNIT_ASSERT_EQUAL(std::string("/ops"), over.member("pointer"));
        CPPUNIT_ASSERT(over.body.find(R"("limit":1000)") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::string("200"),
                             outcome("POST", "/api/kv/storage", {}, body(1000)));
        CPPUNIT_ASSERT_EQUAL(std::string("\"1\""),
                             send("GET", "/api/kv/storage/999").header("ETag"));
        CPPUNIT_ASSERT_EQUAL(std::string("1-1"),
                             send("GET", "/api/kv/storage").header("Larder-Revision"));
    }

    // ---- whole buckets

    void folds_when_asked() {
        send("PUT", "/api/kv/mine/a", {}, "1");
        CPPUNIT_ASSERT(!std::filesystem::exists(*folder_ / "kv/mine.json"));
        const Answer folded = send("POST", "/api/kv/mine/checkpoint");
        CPPUNIT_ASSERT_EQUAL(200, folded.status);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"revision":1,"bytes":2})"), folded.body);
        CPPUNIT_ASSERT_EQUAL(std::string("{\n\"a\": 1\n}\n"), read_file(*folder_ / "kv/mine.json"));
        CPPUNIT_ASSERT_EQUAL(std::string("200"), outcome("POST", "/api/kv/mine/checkpoint"));
        CPPUNIT_ASSERT_EQUAL(std::string("200"), outcome("POST", "/api/kv/storage/checkpoint"));
        CPPUNIT_ASSERT_EQUAL(std::string("404 bucket-not-found"),
                             outcome("POST", "/api/kv/none/checkpoint"));
    }

    void a_key_may_be_named_checkpoint() {
        CPPUNIT_ASSERT_EQUAL(std::string("201"),
                             outcome("PUT", "/api/kv/storage/checkpoint", {}, "5"));
        CPPUNIT_ASSERT_EQUAL(std::string("5"), send("GET", "/api/kv/storage/checkpoint").body);
        CPPUNIT_ASSERT_EQUAL(
            std::string(R"({"items":[{"key":"checkpoint","revision":1}],"next":null})"),
            send("GET", "/api/kv/storage").body);
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"value":6,"revision":2})"),
                             send("POST", "/api/kv/storage/checkpoint/increment").body);
        CPPUNIT_ASSERT_EQUAL(std::string("200"),
                             outcome("PATCH", "/api/kv/storage/checkpoint", kMerge, "7"));
        CPPUNIT_ASSERT_EQUAL(std::string("200"), outcome("POST", "/api/kv/storage/checkpoint"));
        CPPUNIT_ASSERT_EQUAL(std::string("7"), send("GET", "/api/kv/storage/checkpoint").body);
        CPPUNIT_ASSERT_EQUAL(std::string("204"), outcome("DELETE", "/api/kv/storage/checkpoint"));
        CPPUNIT_ASSERT_EQUAL(std::string("404 key-not-found"),
                             outcome("GET", "/api/kv/storage/checkpoint"));
        CPPUNIT_ASSERT_EQUAL(std::string("201"),
                             outcome("PUT", "/api/kv/storage/x/checkpoint", {}, "5"));
        CPPUNIT_ASSERT_EQUAL(std::string("405 method-not-allowed"),
                             outcome("POST", "/api/kv/storage/x/checkpoint"));
        CPPUNIT_ASSERT_EQUAL(std::string("405 method-not-allowed"),
                             outcome("POST", "/api/kv/storage/x"));
    }

    void removes_a_bucket() {
        send("PUT", "/api/kv/mine/a", {}, "1");
        send("PUT", "/api/kv/mine/b", {}, "2");
        send("POST", "/api/kv/mine/checkpoint");
        for (const char* query : {"", "?confirm=", "?confirm=other", "?confirm=true"}) {
            const Answer answer = send("DELETE", fmt::format("/api/kv/mine{}", query));
            CPPUNIT_ASSERT_EQUAL_MESSAGE(query, 400, answer.status);
            CPPUNIT_ASSERT_EQUAL(std::string("confirm"), answer.member("parameter"));
        }
        CPPUNIT_ASSERT_EQUAL(std::string("404 bucket-not-found"),
                             outcome("DELETE", "/api/kv/none?confirm=none"));
        const Answer removed = send("DELETE", "/api/kv/mine?confirm=mine");
        CPPUNIT_ASSERT_EQUAL(204, removed.status);
        CPPUNIT_ASSERT_EQUAL(std::string("2-2"), removed.header("Larder-Revision"));
        for (const bool again : {false, true}) {
            if (again) kill_and_start();
            CPPUNIT_ASSERT(!std::filesystem::exists(*folder_ / "kv/mine.json"));
            CPPUNIT_ASSERT_EQUAL(std::string("404 bucket-not-found"),
                                 outcome("GET", "/api/kv/mine"));
            CPPUNIT_ASSERT_EQUAL(std::string("404 bucket-not-found"),
                                 outcome("GET", "/api/kv/mine/a"));
            CPPUNIT_ASSERT_EQUAL(std::string("404 bucket-not-found"),
                                 outcome("DELETE", "/api/kv/mine?confirm=mine"));
            CPPUNIT_ASSERT(send("GET", "/api/kv").body.find("mine") == std::string::npos);
        }
        const Answer made = send("PUT", "/api/kv/mine/a", {}, "3");
        CPPUNIT_ASSERT_EQUAL(201, made.status);
        CPPUNIT_ASSERT_EQUAL(std::string("2-3"), made.header("Larder-Revision"));
        restart();
        CPPUNIT_ASSERT_EQUAL(std::string("{\n\"a\": 3\n}\n"), read_file(*folder_ / "kv/mine.json"));
        CPPUNIT_ASSERT_EQUAL(std::string("2-3"),
                             send("GET", "/api/kv/mine").header("Larder-Revision"));
    }

    void empties_a_built_in_bucket() {
        send("PUT", "/api/kv/feature_flags/a", {}, "1");
        CPPUNIT_ASSERT_EQUAL(std::string("204"),
                             outcome("DELETE", "/api/kv/feature_flags?confirm=feature_flags"));
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"items":[],"next":null})"),
                             send("GET", "/api/kv/feature_flags").body);
        CPPUNIT_ASSERT_EQUAL(std::string("404 key-not-found"),
                             outcome("GET", "/api/kv/feature_flags/a"));
        restart();
        CPPUNIT_ASSERT_EQUAL(std::string("2-1"),
                             send("GET", "/api/kv/feature_flags").header("Larder-Revision"));
    }
};

LARDER_TEST_SUITE(KvEditTest);

}  // namespace
}  // namespace larder::test
