// How files are kept in order: expiry, cleanup, verification, and what a start finds.
#include <fmt/format.h>

#include <filesystem>
#include <set>
#include <vector>

#include "support/files_fixture.hpp"

namespace larder::test {
namespace {

using std::string_literals::operator""s;
namespace fs = std::filesystem;

class FilesUpkeepTest : public FilesFixture {
    CPPUNIT_TEST_SUITE(FilesUpkeepTest);
    CPPUNIT_TEST(files_expire);
    CPPUNIT_TEST(cleans_up_what_is_old);
    CPPUNIT_TEST(verification_finds_damage);
    CPPUNIT_TEST(a_start_finds_strays_and_keeps_them);
    CPPUNIT_TEST(a_start_clears_what_a_kill_left);
    CPPUNIT_TEST(survives_a_kill);
    CPPUNIT_TEST(takes_the_origins_files);
    CPPUNIT_TEST(tells_how_much_is_stored);
    CPPUNIT_TEST_SUITE_END();

public:
    void files_expire() {
        const std::string url = put("a.txt", "hello world");
        send("GET", url);
        CPPUNIT_ASSERT_EQUAL(
            200, send("PATCH", url + "/metadata", {}, R"({"expires_at":"2001-01-01T00:00:00Z"})")
                     .status);
        CPPUNIT_ASSERT_EQUAL("404 file-not-found"s, outcome("GET", url));
        CPPUNIT_ASSERT_EQUAL("404 file-not-found"s, outcome("GET", url + "/metadata"));
        CPPUNIT_ASSERT(listed("", "url").empty());
        CPPUNIT_ASSERT_EQUAL(202, send("POST", "/api/scheduler/jobs/files.expire/run").status);
        CPPUNIT_ASSERT(eventually([&] { return stored().empty(); }));
        CPPUNIT_ASSERT_EQUAL("0"s, storage("used_bytes"));
        restart_with("LARDER_FILES_RETENTION", "1s");
        const std::string kept = put("b.txt", "x");
        CPPUNIT_ASSERT_EQUAL(200, send("GET", kept).status);
        CPPUNIT_ASSERT(eventually([&] { return send("GET", kept).status == 404; }));
    }

    void cleans_up_what_is_old() {
        const std::string read = put("read.txt", "12"), unread = put("unread.txt", "123");
        send("GET", read);
        const auto clean = [&](const std::string& body) {
            return send("POST", "/api/storage/cleanup", {}, body).body;
        };
        const std::string only_unread = fmt::format(
            R"("removed":[{{"kind":"file","name":"{}","size":3}}],"count":1,"bytes_freed":3}})",
            unread.substr(11));
        CPPUNIT_ASSERT_EQUAL(R"({"dry_run":true,)" + only_unread,
                             clean(R"({"older_than_days":0,"dry_run":true})"));
        CPPUNIT_ASSERT_EQUAL(200, send("GET", unread + "/metadata").status);
        CPPUNIT_ASSERT(clean(R"({"older_than_days":30})").find(R"("count":0)") !=
                       std::string::npos);
        CPPUNIT_ASSERT(clean("{}").find(R"("count":0)") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(R"({"dry_run":false,)" + only_unread,
                             clean(R"({"older_than_days":0,"only_never_downloaded":true})"));
        CPPUNIT_ASSERT_EQUAL(404, send("GET", unread).status);
        CPPUNIT_ASSERT(
            clean(R"({"older_than_days":0,"only_never_downloaded":false})").find(read.substr(11)) !=
            std::string::npos);
        CPPUNIT_ASSERT(stored().empty());
        for (const char* bad :
             {R"({"older_than_days":-1})", R"({"older_than_days":"x"})", R"({"dry_run":1})",
              R"({"older_than_days":0,"dry_run":null})", R"({"older_than_days":null})",
              R"({"what":1})", "[]", R"({"keep_backups":0})"}) {
            CPPUNIT_ASSERT_EQUAL("422 invalid-field"s,
                                 outcome("POST", "/api/storage/cleanup", {}, bad));
        }
    }

    void verification_finds_damage() {
        const std::string good = put("good.txt", "good"), bad = put("bad.txt", "evil"),
                          gone = put("gone.txt", "gone");
        const auto path = [&](const std::string& url) {
            return *folder_ / ("files/" + url.substr(11));
        };
        write_file(path(bad), "eviL");
        fs::remove(path(gone));
        CPPUNIT_ASSERT_EQUAL("{\"checked\":1,\"damaged\":[],\"missing\":[]}"s,
                             send("POST", good + "/verify").body);
        const std::string bad_name = bad.substr(11), gone_name = gone.substr(11);
        CPPUNIT_ASSERT_EQUAL(fmt::format(R"({{"checked":3,"damaged":["{}"],"missing":["{}"]}})",
                                         bad_name, gone_name),
                             send("POST", "/api/files/verify").body);
        for (int i = 0; i < 2; ++i) {
            CPPUNIT_ASSERT_EQUAL("500 file-damaged"s, outcome("GET", bad));
            CPPUNIT_ASSERT_EQUAL("500 file-damaged"s, outcome("GET", gone));
            CPPUNIT_ASSERT_EQUAL(200, send("GET", good).status);
            CPPUNIT_ASSERT_EQUAL("degraded"s, send("GET", "/api/plugins/files").member("state"));
            CPPUNIT_ASSERT(send("GET", "/api/alerts").body.find("files-damaged") !=
                           std::string::npos);
            restart();
        }
        write_file(path(bad), "evil");
        CPPUNIT_ASSERT_EQUAL("{\"checked\":1,\"damaged\":[],\"missing\":[]}"s,
                             send("POST", bad + "/verify").body);
        CPPUNIT_ASSERT_EQUAL("evil"s, send("GET", bad).body);
        const std::string lost = put("lost.txt", "lost");
        for (const std::string& url : {good, lost}) {
            CPPUNIT_ASSERT_EQUAL(200, send("GET", url).status);  // kept open now
        }
        write_file(path(good), "longer");  // another size is seen without being asked for
        fs::remove(path(lost));
        for (const std::string& url : {good, lost}) {
            CPPUNIT_ASSERT_EQUAL("500 file-damaged"s, outcome("GET", url));
            CPPUNIT_ASSERT_EQUAL("500 file-damaged"s, outcome("GET", url));
        }
        CPPUNIT_ASSERT_EQUAL("204"s, outcome("DELETE", gone));
        restart();
        CPPUNIT_ASSERT_EQUAL("500 file-damaged"s, outcome("GET", good));
        CPPUNIT_ASSERT_EQUAL("404 file-not-found"s, outcome("POST", "/api/files/x/verify"));
    }

    void a_start_finds_strays_and_keeps_them() {
        const std::string url = put("a.txt", "x");
        daemon_->stop();
        write_file(*folder_ / "files/stranger.txt", "mine");
        fs::remove(*folder_ / ("files/" + url.substr(11)));
        start();
        const std::string body = send("GET", "/api/files/storage").body;
        CPPUNIT_ASSERT_MESSAGE(body,
                               body.find(R"("orphans":["stranger.txt"])") != std::string::npos);
        CPPUNIT_ASSERT(body.find(fmt::format(R"("missing":["{}"])", url.substr(11))) !=
                       std::string::npos);
        CPPUNIT_ASSERT(daemon_->wait_for_log("stranger.txt"));
        CPPUNIT_ASSERT_EQUAL("mine"s, read_file(*folder_ / "files/stranger.txt"));
        CPPUNIT_ASSERT_EQUAL("1"s, storage("used_bytes"));
    }

    void a_start_clears_what_a_kill_left() {
        const std::string kept = put("kept.txt", "kept"), doomed = put("doomed.txt", "doomed");
        daemon_->kill();
        const std::string files = *folder_ / "files/";
        write_file(files + ".staging/7", "half");
        write_file(files + ".staging/8", "linked");
        fs::create_hard_link(files + ".staging/8", files + "linked_1.txt");
        fs::create_hard_link(files + kept.substr(11), files + ".staging/9");
        fs::create_hard_link(files + doomed.substr(11), files + ".trash/" + doomed.substr(11));
        start();
        CPPUNIT_ASSERT(stored() == (std::set<std::string>{kept.substr(11), doomed.substr(11)}));
        CPPUNIT_ASSERT_EQUAL("kept"s, send("GET", kept).body);
        CPPUNIT_ASSERT_EQUAL("doomed"s, send("GET", doomed).body);
        send("DELETE", doomed);
        daemon_->kill();
        write_file(files + doomed.substr(11), "doomed");
        fs::create_hard_link(files + doomed.substr(11), files + ".trash/" + doomed.substr(11));
        start();
        CPPUNIT_ASSERT(stored() == (std::set<std::string>{kept.substr(11)}));
        CPPUNIT_ASSERT_EQUAL("4"s, storage("used_bytes"));
    }

    void survives_a_kill() {
        std::vector<std::string> urls;
        for (int i = 0; i < 20; ++i) urls.push_back(put("a.txt", fmt::format("file {}", i)));
        send("DELETE", urls[3]);
        kill_and_start();
        for (int i = 0; i < 20; ++i) {
            const Answer got = send("GET", urls[std::size_t(i)]);
            CPPUNIT_ASSERT_EQUAL(i == 3 ? 404 : 200, got.status);
            if (i != 3) CPPUNIT_ASSERT_EQUAL(fmt::format("file {}", i), got.body);
        }
        CPPUNIT_ASSERT_EQUAL(std::size_t{19}, stored().size());
        CPPUNIT_ASSERT_EQUAL("19"s, storage("file_count"));
    }

    void takes_the_origins_files() {
        daemon_->stop();
        const std::string name = "document_1640995200.pdf";
        write_file(*folder_ / ("files/" + name), "hello world");
        write_file(*folder_ / "files/files_metadata.json", fmt::format(R"({{
  "files": {{
    "{0}": {{
      "original_name": "report.pdf",
      "filename": "{0}",
      "size": 11,
      "size_mb": 0.0,
      "uploaded_at": "2024-01-01T12:00:00.000Z",
      "mime_type": "application/pdf",
      "hash": "{1}",
      "uploader_ip": "127.0.0.1",
      "download_count": 4,
      "last_accessed": "2024-01-01T12:00:00.000Z"
    }}
  }},
  "total_size": 11,
  "file_count": 1
}})",
                                                                       name, kHello));
        start();
        const Answer got = send("GET", "/api/files/" + name);
        CPPUNIT_ASSERT_EQUAL("hello world"s, got.body);
        CPPUNIT_ASSERT_EQUAL("Mon, 01 Jan 2024 12:00:00 GMT"s, got.header("Last-Modified"));
        put("more.txt", "12345");
        CPPUNIT_ASSERT_EQUAL(0, daemon_->stop());
        const std::string readable = read_file(*folder_ / "files/files_metadata.json");
        CPPUNIT_ASSERT_MESSAGE(readable, readable.starts_with("{\"files\": {\n"));
        CPPUNIT_ASSERT(readable.ends_with("}, \"total_size\": 16, \"file_count\": 2}\n"));
        CPPUNIT_ASSERT_EQUAL("5"s, number(readable, "download_count"));
        start();
        CPPUNIT_ASSERT_EQUAL("2"s, storage("file_count"));
        CPPUNIT_ASSERT_EQUAL(
            "5"s, number(send("GET", "/api/files/" + name + "/metadata").body, "download_count"));
    }

    void tells_how_much_is_stored() {
        put("a.txt", std::string(1048576, 'x'));
        const std::string body = send("GET", "/api/files/storage").body;
        CPPUNIT_ASSERT_EQUAL("1048576"s, number(body, "used_bytes"));
        CPPUNIT_ASSERT_EQUAL("1.00"s, number(body, "used_mb"));
        CPPUNIT_ASSERT_EQUAL("5368709120"s, number(body, "max_bytes"));
        CPPUNIT_ASSERT_EQUAL("5367660544"s, number(body, "available_bytes"));
        CPPUNIT_ASSERT_EQUAL("0.02"s, number(body, "usage_percent"));
        const std::string usage = send("GET", "/api/storage/usage").body;
        CPPUNIT_ASSERT_MESSAGE(usage, usage.find("\"file_store\"") != std::string::npos);
    }
};

LARDER_TEST_SUITE(FilesUpkeepTest);

}  // namespace
}  // namespace larder::test
