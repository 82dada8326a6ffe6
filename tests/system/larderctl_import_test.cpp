// A Python origin's data/ folder taken over by larderctl, and served by a real larderd afterwards.
#include <fmt/format.h>

#include <filesystem>

#include "storage-kit/digest.hpp"
#include "support/command.hpp"
#include "support/daemon_process.hpp"
#include "support/json_view.hpp"
#include "support/raw_client.hpp"
#include "support/suite.hpp"

namespace larder::test {
namespace {

namespace fs = std::filesystem;

class LarderctlImportTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(LarderctlImportTest);
    CPPUNIT_TEST(larderd_serves_what_was_imported);
    CPPUNIT_TEST(a_dry_run_copies_nothing);
    CPPUNIT_TEST(damage_is_named_and_stops_it);
    CPPUNIT_TEST(says_what_to_do_next);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override {
        storage::Sha256 hash;
        hash.update("hello\n");
        write("storage.json", R"({"a": 0.1000, "when": "2024-01-01T12:00:00"})");
        write("config/feature_flags.json", R"({"enable_redis": false})");
        write("files/document_1640995200.pdf", "hello\n");
        write("files/stray.txt", "x");
        write("files/files_metadata.json",
              fmt::format(
                  R"({{"files":{{"document_1640995200.pdf":{{"original_name":"report.pdf",)"
                  R"("filename":"document_1640995200.pdf","size":6,"size_mb":0.0,)"
                  R"("uploaded_at":"2024-07-01T12:00:00.123456","mime_type":"application/pdf",)"
                  R"("hash":"{}","uploader_ip":"127.0.0.1","download_count":2,)"
                  R"("last_accessed":"2024-07-01T12:00:00Z"}}}},"total_size":6,"file_count":1}})",
                  hash.finish_hex()));
        write("programs/program_1/script.py", "print(1)\n");
        write("programs/program_1/.metadata.json", R"({"upload_time":"2024-01-01T12:00:00"})");
        write("logs/app.log", "a line\n");
        write("users.json", "{}");
    }

    void larderd_serves_what_was_imported() {
        const Ran did = import({"--zone", "UTC"});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(did.err + did.out, 0, did.exit);
        CPPUNIT_ASSERT(has(did.out, "stray.txt") && has(did.out, "2 times got a zone"));
        const std::string times = read_file(folder_ / "new/programs/program_1/.metadata.json");
        CPPUNIT_ASSERT_EQUAL(std::string(R"({"upload_time":"2024-01-01T12:00:00.000Z"})"), times);

        DaemonProcess daemon({folder_ / "new", {}, {}, {}, true, true, {}});
        const auto get = [&](const std::string& target) {
            const Answer answer = request(daemon.port(), "GET", target);
            CPPUNIT_ASSERT_EQUAL_MESSAGE(target, 200, answer.status);
            return answer.body;
        };
        CPPUNIT_ASSERT_EQUAL(std::string("0.1000"), get("/api/kv/storage/a"));
        CPPUNIT_ASSERT_EQUAL_MESSAGE("a value is nobody's to change",
                                     std::string(R"("2024-01-01T12:00:00")"),
                                     get("/api/kv/storage/when"));
        CPPUNIT_ASSERT_EQUAL(std::string("hello\n"), get("/api/files/document_1640995200.pdf"));
        const auto list = object_of(get("/api/files"));
        const auto record = list->getArray("items")->getObject(0);
        CPPUNIT_ASSERT_EQUAL(std::string("2024-07-01T12:00:00.123Z"),
                             record->getValue<std::string>("uploaded_at"));
        CPPUNIT_ASSERT_EQUAL(0, daemon.stop());
    }

    void a_dry_run_copies_nothing() {
        const Ran did = import({"--dry-run", "--json"});
        CPPUNIT_ASSERT_EQUAL_MESSAGE(did.err, 0, did.exit);
        const auto report = object_of(did.out);
        CPPUNIT_ASSERT(!report->getValue<bool>("imported") && report->getValue<bool>("dry_run"));
        CPPUNIT_ASSERT_EQUAL(2, report->getValue<int>("times"));
        CPPUNIT_ASSERT(!fs::exists(folder_ / "new") && !fs::exists(folder_ / "new.importing"));
    }

    void damage_is_named_and_stops_it() {
        write("config/server_config.json", R"({"port": 8000)");
        write("files/document_1640995200.pdf", "hellO\n");
        const Ran refused = import({});
        CPPUNIT_ASSERT_EQUAL(1, refused.exit);
        CPPUNIT_ASSERT_MESSAGE(refused.out, has(refused.out, "server_config.json: it is no JSON"));
        CPPUNIT_ASSERT(has(refused.out, "document_1640995200.pdf: its SHA-256"));
        CPPUNIT_ASSERT(has(refused.err, "--keep-going") && !fs::exists(folder_ / "new"));
        CPPUNIT_ASSERT_EQUAL(1, import({"--keep-going"}).exit);
        CPPUNIT_ASSERT(fs::exists(folder_ / "new/storage.json"));
        CPPUNIT_ASSERT(!fs::exists(folder_ / "new/config/server_config.json"));
    }

    void says_what_to_do_next() {
        const Ran elsewhere =
            run({DaemonProcess::larderctl(), "import-origin", folder_.path(), "--into", target()});
        CPPUNIT_ASSERT(elsewhere.exit == 4 && has(elsewhere.err, "data/ folder itself"));
        const Ran zone = import({"--zone", "Mars"});
        CPPUNIT_ASSERT(zone.exit == 2 && has(zone.err, "Europe/Paris"));
        write_file(folder_ / "new/storage.json", "{}");
        const Ran full = import({});
        CPPUNIT_ASSERT(full.exit == 4 && has(full.err, "--into"));
        CPPUNIT_ASSERT_EQUAL(std::string("{}"), read_file(folder_ / "new/storage.json"));
    }

private:
    static bool has(const std::string& text, std::string_view part) {
        return text.find(part) != std::string::npos;
    }
    std::string target() const { return folder_ / "new"; }
    void write(const std::string& name, std::string_view text) const {
        write_file(folder_ / ("origin/" + name), text);
    }
    Ran import(std::vector<std::string> options) const {
        options.insert(options.begin(), {DaemonProcess::larderctl(), "import-origin",
                                         folder_ / "origin", "--into", target()});
        return run(std::move(options));
    }

    TemporaryFolder folder_;
};

LARDER_TEST_SUITE(LarderctlImportTest);

}  // namespace
}  // namespace larder::test
