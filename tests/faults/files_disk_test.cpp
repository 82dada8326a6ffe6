// files on disks that are full or fail: what is answered, that nothing is left behind, and that a
// start afterwards finds all that was acknowledged. Says SKIPPED where it may not mount or trace.
#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <vector>

#include "support/daemon_process.hpp"
#include "support/raw_client.hpp"
#include "support/small_disk.hpp"
#include "support/suite.hpp"
#include "support/tracer.hpp"

namespace larder::test {
namespace {

using std::string_literals::operator""s;
namespace fs = std::filesystem;

class FilesDiskTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(FilesDiskTest);
    CPPUNIT_TEST(a_full_disk_refuses_uploads_and_goes_on_reading_and_deleting);
    CPPUNIT_TEST(a_failed_sync_is_never_a_success);
    CPPUNIT_TEST_SUITE_END();

    void start(const std::string& data) {
        DaemonOptions options;
        options.data_directory = data;
        options.environment = {{"LARDER_DAEMON_WORKER_THREADS", "1"}};  // the one that is traced
        daemon_ = std::make_unique<DaemonProcess>(std::move(options));
        files_ = data + "/files/";
    }
    Answer send(std::string_view method, const std::string& target, std::string_view body = {}) {
        return request(daemon_->port(), method, target, {}, body);
    }
    std::string outcome(std::string_view method, const std::string& target,
                        std::string_view body = {}) {
        const Answer answer = send(method, target, body);
        return answer.status < 400 ? std::to_string(answer.status)
                                   : fmt::format("{} {}", answer.status, answer.member("code"));
    }
    std::string put(const std::string& body) {
        const Answer answer = send("PUT", "/api/files/a.bin", body);
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 201, answer.status);
        return answer.header("Location");
    }
    // What is in a folder of the plugin's, without the records.
    std::size_t entries(const std::string& folder) const {
        std::size_t count = 0;
        for (const auto& entry : fs::directory_iterator(files_ + folder)) {
            const std::string name = entry.path().filename().string();
            count += name.starts_with('.') || name.starts_with("files_metadata.json") ? 0 : 1;
        }
        return count;
    }

    std::unique_ptr<SmallDisk> disk_;
    std::unique_ptr<TemporaryFolder> folder_;
    std::unique_ptr<DaemonProcess> daemon_;
    std::string files_;

public:
    void tearDown() override {
        daemon_.reset();
        disk_.reset();
        folder_.reset();
    }

    void a_full_disk_refuses_uploads_and_goes_on_reading_and_deleting() {
        disk_ = std::make_unique<SmallDisk>(8192);
        if (!disk_->why_not().empty()) {
            std::cout << " SKIPPED: " << disk_->why_not() << ' ' << std::flush;
            return;
        }
        start(disk_->path() + "/data");
        const std::string bytes(500000, 'x');
        std::vector<std::string> kept;
        for (int i = 0; i < 4; ++i) kept.push_back(put(bytes));
        disk_->fill(200000);
        // Known before a byte is read, and found out on the way.
        CPPUNIT_ASSERT_EQUAL("507 disk-full"s, outcome("PUT", "/api/files/a.bin", bytes));
        RawClient client(daemon_->port());
        client.send(
            fmt::format("PUT /api/files/b.bin HTTP/1.1\r\nHost: localhost\r\n"
                        "Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n",
                        bytes.size(), bytes));
        const Answer cut = client.read_answer();
        CPPUNIT_ASSERT_EQUAL("507 disk-full"s,
                             fmt::format("{} {}", cut.status, cut.member("code")));
        CPPUNIT_ASSERT(cut.body.find(disk_->path()) == std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, entries(".staging"));
        disk_->fill();
        CPPUNIT_ASSERT_EQUAL("507 disk-full"s, outcome("PUT", "/api/files/a.bin", "x"));
        for (const std::string& url : kept) CPPUNIT_ASSERT(send("GET", url).body == bytes);
        CPPUNIT_ASSERT_EQUAL("204"s, outcome("DELETE", kept.back()));
        kept.pop_back();
        CPPUNIT_ASSERT_EQUAL("201"s, outcome("PUT", "/api/files/c.bin", "small"));
        disk_->fill();
        daemon_->kill();
        start(disk_->path() + "/data");
        CPPUNIT_ASSERT_EQUAL(std::size_t{4}, entries(""));
        disk_->clear();
        kept.push_back(put(bytes));
        for (const std::string& url : kept) CPPUNIT_ASSERT(send("GET", url).body == bytes);
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, entries(".staging"));
    }

    // The file's own sync costs one upload; the folder's makes the store read-only.
    void a_failed_sync_is_never_a_success() {
        if (!tracing_unavailable().empty()) {
            std::cout << " SKIPPED: " << tracing_unavailable() << ' ' << std::flush;
            return;
        }
        folder_ = std::make_unique<TemporaryFolder>();
        start(folder_->path());
        const std::string kept = put("kept");  // the workers are there from now on
        const int worker = thread_named(daemon_->pid(), "larder-worker");
        {
            const Tracer tracer(worker, {"fdatasync:error=EIO:when=1"});
            CPPUNIT_ASSERT_EQUAL("500 storage-failed"s, outcome("PUT", "/api/files/a.bin", "lost"));
            CPPUNIT_ASSERT_EQUAL("201"s, outcome("PUT", "/api/files/a.bin", "kept"));
        }
        {
            const Tracer tracer(worker, {"fsync:error=EIO:when=1"});
            CPPUNIT_ASSERT_EQUAL("500 storage-failed"s, outcome("PUT", "/api/files/a.bin", "lost"));
        }
        CPPUNIT_ASSERT_EQUAL("503 read-only"s, outcome("PUT", "/api/files/a.bin", "x"));
        CPPUNIT_ASSERT_EQUAL(503, send("GET", "/readyz").status);
        CPPUNIT_ASSERT_EQUAL("kept"s, send("GET", kept).body);
        daemon_->kill();
        start(folder_->path());
        CPPUNIT_ASSERT_EQUAL(200, send("GET", "/readyz").status);
        CPPUNIT_ASSERT_EQUAL(std::size_t{2}, entries(""));
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, entries(".staging"));
        CPPUNIT_ASSERT_EQUAL("201"s, outcome("PUT", "/api/files/a.bin", "kept"));
    }
};

LARDER_TEST_SUITE(FilesDiskTest);

}  // namespace
}  // namespace larder::test
