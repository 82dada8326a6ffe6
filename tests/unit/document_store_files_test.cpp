// What FORMAT.md promises of the files of a document store: how they are written, and what is made
// of files of another hand.
#include <fmt/format.h>

#include <memory>
#include <string>

#include "support/document_store_fixture.hpp"

namespace {

using larder::Errc;
using larder::Error;
using larder::storage::DocumentStore;
using larder::storage::Finding;
using larder::storage::StoreOptions;
using larder::storage::Transaction;

class DocumentStoreFilesTest : public larder::test::DocumentStoreFixture {
    CPPUNIT_TEST_SUITE(DocumentStoreFilesTest);
    CPPUNIT_TEST(writes_a_key_a_line);
    CPPUNIT_TEST(writes_the_formats_example);
    CPPUNIT_TEST(an_empty_store_keeps_its_revision);
    CPPUNIT_TEST(closing_without_changes_writes_nothing);
    CPPUNIT_TEST(takes_the_origins_file);
    CPPUNIT_TEST(refuses_what_is_no_object);
    CPPUNIT_TEST_SUITE_END();

public:
    void writes_a_key_a_line() {
        open();
        set("b", "[1,2]");
        set("a\n\"", "1e400");
        store_->close();
        CPPUNIT_ASSERT_EQUAL(std::string("{\n\"a\\n\\\"\": 1e400,\n\"b\": [1,2]\n}\n"),
                             disk_->content(kPath));
        CPPUNIT_ASSERT(!disk_->exists(kPath + ".journal"));
        CPPUNIT_ASSERT(!disk_->exists(kPath + ".tmp"));
        CPPUNIT_ASSERT(!disk_->exists(kPath + ".meta.tmp"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, disk_->names().size());
    }

    // FORMAT.md shows these bytes; whoever changes one changes the other.
    void writes_the_formats_example() {
        std::int64_t now = 1795361188000;
        StoreOptions options;
        options.clock_ms = [&now] { return now += 123; };
        store_ = std::make_unique<DocumentStore>(*disk_, "storage.json", *committer_, options);
        set("app:theme", "\"dark\"");
        commit([](Transaction& transaction) {
            transaction.set("session:42", R"({"user":"ada","n":1e400})", 1795364788000,
                            R"({"source":"web"})");
            transaction.remove("app:theme");
            transaction.set("app:theme", "\"light\"", 0, {});
        });
        store_->checkpoint();
        commit([](Transaction& transaction) {
            transaction.remove("session:42");
            transaction.set("count", "1", 0, {});
        });
        CPPUNIT_ASSERT_EQUAL(std::string("{\n\"app:theme\": \"light\",\n"
                                         "\"session:42\": {\"user\":\"ada\",\"n\":1e400}\n}\n"),
                             disk_->content("storage.json"));
        const std::string head =
            R"({"larder":"meta","version":1,"epoch":1,"revision":2,"folded":2,"keys":2,"json_sha256":)"
            R"("9818c90211a4c0c43afee59422ae6fffeea2fd4ac79b8139107ce4e95f542e73","previous_sha256":"",)"
            R"("sha256":"eca3fea3f558c1980d81f8e0c23bb73786f2f5c448908a5f4e088544977dc246"})";
        CPPUNIT_ASSERT_EQUAL(
            head + std::string(511 - head.size(), ' ') + "\n" +
                R"({"k":"app:theme","r":2,"c":1795361188369,"u":1795361188369,"h":"f5d816091d37cb3b"})"
                "\n"
                R"({"k":"session:42","r":2,"c":1795361188369,"u":1795361188369,"x":1795364788000,)"
                R"("m":{"source":"web"},"h":"34540e110c814f51"})"
                "\n",
            disk_->content("storage.json.meta"));
        const std::string journal =
            R"(39b14870 {"larder":"journal","version":1,"epoch":1,"after":2})"
            "\n"
            R"(fda6cbc8 [{"revision":3,"at":1795361188492,"changes":[{"remove":"session:42"},)"
            R"({"set":"count","value":1,"created":1795361188492}]}])"
            "\n";
        CPPUNIT_ASSERT_EQUAL(journal + std::string(262144 - journal.size(), '\0'),
                             disk_->content("storage.json.journal"));
    }

    void an_empty_store_keeps_its_revision() {
        open();
        set("a", "1");
        remove("a");
        store_->close();
        CPPUNIT_ASSERT_EQUAL(std::string("{}\n"), disk_->content(kPath));
        open();
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, store_->version().revision);
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, store_->count());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{3}, set("a", "1").version.revision);
        open();
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{3}, store_->version().revision);
    }

    void closing_without_changes_writes_nothing() {
        open();
        set("a", "1");
        store_->close();
        const std::string json = disk_->content(kPath);
        const std::string meta = disk_->content(kPath + ".meta");
        open();
        disk_->arm({.at = 1,
                    .error = EIO,
                    .lasting = true,
                    .any = false,
                    .kind = larder::test::Call::write});
        store_->close();
        CPPUNIT_ASSERT_EQUAL(json, disk_->content(kPath));
        CPPUNIT_ASSERT_EQUAL(meta, disk_->content(kPath + ".meta"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, disk_->names().size());
        store_->close();  // once more is nothing
    }

    void takes_the_origins_file() {
        const std::string origin =
            "{ \"z\" : [ 1 , 2.0 ],\r\n\t\"a\\u0062\":1E400, "
            "\"big\":123456789012345678901234567890 }";
        disk_->place(kPath, origin);
        open();
        CPPUNIT_ASSERT_EQUAL(std::string("[1,2.0]"), value("z"));
        CPPUNIT_ASSERT_EQUAL(std::string("1E400"), value("ab"));
        CPPUNIT_ASSERT_EQUAL(std::string("123456789012345678901234567890"), value("big"));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, store_->get("z")->revision);
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, store_->version().revision);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{2'000'000}, store_->get("z")->created_ms);
        CPPUNIT_ASSERT_EQUAL(std::int64_t{2'000'000}, store_->get("z")->updated_ms);
        CPPUNIT_ASSERT(findings_.empty());
        store_->close();
        CPPUNIT_ASSERT_EQUAL_MESSAGE("nothing was changed", origin, disk_->content(kPath));
        open();
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, set("new", "1").version.revision);
        open();  // killed: the origin's file, and a journal
        CPPUNIT_ASSERT_EQUAL(std::size_t{4}, store_->count());
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{2}, store_->version().revision);
        store_->close();
        open();
        CPPUNIT_ASSERT_EQUAL(std::string("1E400"), value("ab"));
        CPPUNIT_ASSERT_EQUAL(std::uint64_t{1}, store_->get("ab")->revision);
    }

    void refuses_what_is_no_object() {
        const std::pair<std::string, std::size_t> bad[] = {
            {"", 0},           {"[1]", 0}, {"{\"a\":1,\"a\":2}", 7}, {"{\"a\":1", 6},
            {"{\"a\":01}", 6}, {" 12", 1}, {"{\"a\":\"\xFF\"}", 6},  {"{}x", 2},
        };
        for (const auto& [text, offset] : bad) {
            disk_->place(kPath, text);
            try {
                open();
                CPPUNIT_FAIL("opened: " + text);
            } catch (const Error& error) {
                CPPUNIT_ASSERT(error.code() == Errc::corrupt);
                CPPUNIT_ASSERT_EQUAL(std::string("unreadable"), error.slug());
                CPPUNIT_ASSERT(error.detail().find(kPath) == std::string::npos);
                CPPUNIT_ASSERT(error.internal().find(kPath) != std::string::npos);
                CPPUNIT_ASSERT_MESSAGE(
                    error.internal(),
                    error.internal().find(fmt::format("at byte {}", offset)) != std::string::npos);
            }
            CPPUNIT_ASSERT_EQUAL(text, disk_->content(kPath));
            CPPUNIT_ASSERT_EQUAL(std::size_t{1}, disk_->names().size());
            found(Finding::Kind::unreadable, fmt::format("at byte {}", offset));
            findings_.clear();
        }
    }
};

LARDER_TEST_SUITE(DocumentStoreFilesTest);

}  // namespace
