// Plugins judged against each other: names, path prefixes and data that two of them claim.
#include "plugin_host/claims.hpp"

#include <fmt/format.h>

#include <deque>

#include "support/suite.hpp"

namespace larder::plugin_host {
namespace {

class ClaimsTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ClaimsTest);
    CPPUNIT_TEST(takes_those_who_keep_apart);
    CPPUNIT_TEST(refuses_the_later_of_one_name);
    CPPUNIT_TEST(refuses_prefixes_that_meet);
    CPPUNIT_TEST(refuses_data_that_meets);
    CPPUNIT_TEST(refuses_what_is_the_daemons_own);
    CPPUNIT_TEST(a_refused_one_claims_nothing);
    CPPUNIT_TEST(declares_each_section_once);
    CPPUNIT_TEST_SUITE_END();

public:
    void takes_those_who_keep_apart() {
        add("kv", "/api/kv", "storage.json,config/,kv/");
        add("files", "/api/files", "files/");
        add("programs", "/api/programs, /api/executions",
            "programs/programs.json,programs/logs/,programs/program_*");
        add("metrics", "/api/metrics", "programs/db/,programs/program/");
        add("kvx", "/api/kvx", "storage.jsonl,kv2/");
        add("none", "", "");
        CPPUNIT_ASSERT_EQUAL(std::string("......"), settled());
    }

    void refuses_the_later_of_one_name() {
        add("kv", "/api/kv", "");
        add("kv", "/api/other", "");
        CPPUNIT_ASSERT_EQUAL(std::string(".x"), settled());
        expect_reason(1, "0.so is a plugin 'kv' already");
    }

    void refuses_prefixes_that_meet() {
        add("a", "/api/a,/api/b", "");
        add("b", "/api/b", "");
        add("c", "/api/a/deeper", "");
        add("d", "/api/bb", "");
        CPPUNIT_ASSERT_EQUAL(std::string(".xx."), settled());
        expect_reason(1, "/api/b of plugin a");
        expect_reason(2, "/api/a of plugin a");
    }

    void refuses_data_that_meets() {
        add("a", "/api/a", "one.json,folder/");
        add("b", "/api/b", "one.json");
        add("c", "/api/c", "folder/");
        add("d", "/api/d", "folder/inner.json");
        add("e", "/api/e", "folder/inner/");
        add("f", "/api/f", "folder");
        add("g", "/api/g", "folder2/,one.json2,jobs/job_*");
        add("h", "/api/h", "jobs/job_1/");
        add("i", "/api/i", "jobs/");
        add("j", "/api/j", "jobs/job_1*");
        CPPUNIT_ASSERT_EQUAL(std::string(".xxxxx.xxx"), settled());
        expect_reason(1, "one.json");
        expect_reason(4, "folder/ of plugin a");
    }

    void refuses_what_is_the_daemons_own() {
        for (const char* prefix : {"/api/plugins", "/api/status/more", "/api/users", "/healthz",
                                   "/", "/other", "api/kv", "/api", "/apix/a"}) {
            libraries_.clear();
            add("a", prefix, "");
            CPPUNIT_ASSERT_EQUAL_MESSAGE(prefix, std::string("x"), settled());
            expect_reason(0, fmt::format("path prefix {} is not its to claim", prefix));
        }
    }

    void a_refused_one_claims_nothing() {
        add("kv", "/api/kv", "kv/");
        libraries_[0].refusal = "its file is damaged";
        add("kv", "/api/kv", "kv/");
        CPPUNIT_ASSERT_EQUAL(std::string("x."), settled());
        CPPUNIT_ASSERT_EQUAL(std::string("its file is damaged"), libraries_[0].refusal);
        libraries_.clear();
        add("a", "/api/kv,/healthz", "");  // refused for the second, so the first is free
        add("kv", "/api/kv", "");
        CPPUNIT_ASSERT_EQUAL(std::string("x."), settled());
    }

    void declares_each_section_once() {
        add("kv", "/api/kv", "");
        add("kv", "/api/other", "");
        add("files", "/api/files", "");
        libraries_[2].built_in = false;
        Library damaged;
        damaged.name = "damaged";
        damaged.refusal = "it is cut short";
        libraries_.push_back(damaged);
        settle_claims(libraries_);
        const auto declarations = declarations_of(libraries_);
        CPPUNIT_ASSERT_EQUAL(std::size_t{3}, declarations.size());
        CPPUNIT_ASSERT_EQUAL(std::string("kv"), std::string(declarations[0].section));
        CPPUNIT_ASSERT(declarations[0].enabled_by_default && declarations[0].known);
        CPPUNIT_ASSERT(!declarations[1].enabled_by_default);  // not the daemon's own: asked for
        CPPUNIT_ASSERT(!declarations[2].known);  // what its section may hold nobody can tell
    }

private:
    void add(const char* id, const char* prefixes, const char* data) {
        entries_.push_back({id, "1", "", prefixes, data, nullptr, 0, nullptr, nullptr});
        Library library;
        library.name = id;
        library.path = fmt::format("/plugins/{}.so", libraries_.size());
        library.entry = &entries_.back();
        library.built_in = true;
        libraries_.push_back(std::move(library));
    }
    // '.' for taken, 'x' for refused, in order.
    std::string settled() {
        settle_claims(libraries_);
        std::string text;
        for (const Library& library : libraries_) text += library.is_taken() ? '.' : 'x';
        return text;
    }
    void expect_reason(std::size_t index, const std::string& text) const {
        const std::string& reason = libraries_[index].refusal;
        CPPUNIT_ASSERT_MESSAGE(fmt::format("expected '{}' in: {}", text, reason),
                               reason.find(text) != std::string::npos);
    }

    std::deque<PluginEntry> entries_;  // which libraries_ point into
    std::vector<Library> libraries_;
};

LARDER_TEST_SUITE(ClaimsTest);

}  // namespace
}  // namespace larder::plugin_host
