// Resumable uploads as a tus 1.0.0 client sees them, against a real larderd: the core protocol,
// each extension and what it forbids, broken connections, kills.
#include <fmt/format.h>

#include <filesystem>
#include <string>
#include <vector>

#include "support/daemon_fixture.hpp"
#include "support/eventually.hpp"

namespace larder::test {
namespace {

using std::string_literals::operator""s;
namespace fs = std::filesystem;

constexpr const char* kTus = "Tus-Resumable: 1.0.0\r\n";
constexpr const char* kBytes = "Content-Type: application/offset+octet-stream\r\n";
constexpr const char* kHelloSha1 = "Kq5sNclPz7QV2+lfQIuc6R7oRu0=";  // of "hello world"
constexpr const char* kHelloSha256 = "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=";
constexpr const char* kHelloCrc32c = "yZRlqg==";

class FilesTusTest : public DaemonFixture {
    CPPUNIT_TEST_SUITE(FilesTusTest);
    CPPUNIT_TEST(says_what_it_speaks);
    CPPUNIT_TEST(uploads_in_pieces);
    CPPUNIT_TEST(creates_with_upload);
    CPPUNIT_TEST(refuses_bad_creations);
    CPPUNIT_TEST(refuses_bad_patches);
    CPPUNIT_TEST(defers_the_length);
    CPPUNIT_TEST(checks_sums);
    CPPUNIT_TEST(checks_sums_in_trailers);
    CPPUNIT_TEST(resumes_after_a_broken_connection);
    CPPUNIT_TEST(a_newer_patch_takes_over);
    CPPUNIT_TEST(unproven_bytes_never_count);
    CPPUNIT_TEST(survives_kills);
    CPPUNIT_TEST(terminates);
    CPPUNIT_TEST(expires);
    CPPUNIT_TEST(concatenates);
    CPPUNIT_TEST(holds_its_quota);
    CPPUNIT_TEST(takes_methods_by_header);
    CPPUNIT_TEST_SUITE_END();

    std::string create(const std::string& length, const std::string& more = {}) const {
        const Answer answer = send("POST", "/api/files/tus",
                                   fmt::format("{}Upload-Length: {}\r\n{}", kTus, length, more));
        CPPUNIT_ASSERT_EQUAL_MESSAGE(answer.body, 201, answer.status);
        CPPUNIT_ASSERT_EQUAL("1.0.0"s, answer.header("Tus-Resumable"));
        return answer.header("Location");
    }
    Answer patch(const std::string& url, std::size_t offset, const std::string& bytes,
                 const std::string& more = {}) const {
        return send("PATCH", url,
                    fmt::format("{}{}Upload-Offset: {}\r\n{}", kTus, kBytes, offset, more), bytes);
    }
    std::string patched(const std::string& url, std::size_t offset, const std::string& bytes,
                        const std::string& more = {}) const {
        const Answer answer = patch(url, offset, bytes, more);
        CPPUNIT_ASSERT_EQUAL("1.0.0"s, answer.header("Tus-Resumable"));
        if (answer.status < 400)
            return fmt::format("{} {}", answer.status, answer.header("Upload-Offset"));
        return fmt::format("{} {}", answer.status, answer.member("code"));
    }
    Answer head(const std::string& url) const { return send("HEAD", url, kTus); }
    std::string offset(const std::string& url) const { return head(url).header("Upload-Offset"); }
    // The bytes of the file that a finished upload became.
    std::string content(const std::string& url) const {
        const std::string file = head(url).header("Content-Location");
        CPPUNIT_ASSERT(file.starts_with("/api/files/"));
        return send("GET", file).body;
    }
    std::string storage(const std::string& name) const {
        const std::string body = send("GET", "/api/files/storage").body;
        const std::size_t at = body.find("\"" + name + "\":") + name.size() + 3;
        return body.substr(at, body.find(',', at) - at);
    }
    std::size_t left_behind() const {
        std::size_t count = 0;
        for (const auto& entry : fs::directory_iterator(*folder_ / "files/.tus")) {
            count += entry.path().filename().string().starts_with("uploads.json") ? 0 : 1;
        }
        return count;
    }
    // Sends the beginning of a PATCH and leaves the connection open.
    std::unique_ptr<RawClient> begin(const std::string& url, std::size_t at, std::size_t length,
                                     const std::string& bytes, const std::string& more = {}) const {
        auto client = std::make_unique<RawClient>(daemon_->port());
        client->send(
            fmt::format("PATCH {} HTTP/1.1\r\nHost: localhost\r\n{}{}{}Upload-Offset: {}\r\n"
                        "Content-Length: {}\r\n\r\n{}",
                        url, kTus, kBytes, more, at, length, bytes));
        return client;
    }

public:
    void says_what_it_speaks() {
        for (const std::string& url : {"/api/files/tus"s, "/api/files/tus/x"s}) {
            const Answer answer = send("OPTIONS", url);
            CPPUNIT_ASSERT_EQUAL(204, answer.status);
            CPPUNIT_ASSERT_EQUAL("1.0.0"s, answer.header("Tus-Version"));
            CPPUNIT_ASSERT_EQUAL("1.0.0"s, answer.header("Tus-Resumable"));
            CPPUNIT_ASSERT_EQUAL("104857600"s, answer.header("Tus-Max-Size"));
            CPPUNIT_ASSERT_EQUAL("sha1,sha256,crc32c"s, answer.header("Tus-Checksum-Algorithm"));
            for (const char* extension :
                 {"creation", "creation-with-upload", "creation-defer-length", "expiration",
                  "checksum", "checksum-trailer", "termination", "concatenation"}) {
                CPPUNIT_ASSERT(answer.header("Tus-Extension").find(extension) != std::string::npos);
            }
            CPPUNIT_ASSERT(answer.header("Allow").find("POST") != std::string::npos);
        }
        const Answer old =
            send("POST", "/api/files/tus", "Tus-Resumable: 0.2.2\r\nUpload-Length: 1\r\n");
        CPPUNIT_ASSERT_EQUAL(412, old.status);
        CPPUNIT_ASSERT_EQUAL("1.0.0"s, old.header("Tus-Version"));
        CPPUNIT_ASSERT_EQUAL("412 tus-version"s,
                             outcome("HEAD", "/api/files/tus/x").substr(0, 3) + " tus-version");
    }

    void uploads_in_pieces() {
        // filename a.txt, filetype text/x-a
        const std::string metadata = "filename YS50eHQ=,filetype dGV4dC94LWE=,is_x";
        const std::string url = create("11", "Upload-Metadata: " + metadata + "\r\n");
        CPPUNIT_ASSERT(url.starts_with("/api/files/tus/"));
        const Answer begun = head(url);
        CPPUNIT_ASSERT_EQUAL(200, begun.status);
        CPPUNIT_ASSERT_EQUAL("0"s, begun.header("Upload-Offset"));
        CPPUNIT_ASSERT_EQUAL("11"s, begun.header("Upload-Length"));
        CPPUNIT_ASSERT_EQUAL(metadata, begun.header("Upload-Metadata"));
        CPPUNIT_ASSERT_EQUAL("no-store"s, begun.header("Cache-Control"));
        CPPUNIT_ASSERT(begun.header("Upload-Expires").ends_with(" GMT"));
        CPPUNIT_ASSERT_EQUAL("204 6"s, patched(url, 0, "hello "));
        CPPUNIT_ASSERT_EQUAL("6"s, offset(url));
        const Answer last = patch(url, 6, "world");
        CPPUNIT_ASSERT_EQUAL(204, last.status);
        const std::string file = last.header("Content-Location");
        const Answer record = send("GET", file + "/metadata");
        CPPUNIT_ASSERT_EQUAL("a.txt"s, record.member("original_name"));
        CPPUNIT_ASSERT_EQUAL("text/x-a"s, record.member("sent_mime_type"));
        CPPUNIT_ASSERT_EQUAL("sha-256=:"s + kHelloSha256 + ":",
                             send("GET", file).header("Repr-Digest"));
        CPPUNIT_ASSERT_EQUAL("11"s, offset(url));
        CPPUNIT_ASSERT_EQUAL("hello world"s, content(url));
        CPPUNIT_ASSERT_EQUAL("204 11"s, patched(url, 11, ""));
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, left_behind());
        // Nothing to send is a file as well, and one that nobody named is `file`.
        const Answer empty = send("POST", "/api/files/tus", kTus + "Upload-Length: 0\r\n"s);
        CPPUNIT_ASSERT(empty.header("Content-Location").starts_with("/api/files/file_"));
        restart();
        CPPUNIT_ASSERT_EQUAL("hello world"s, content(url));
    }

    void creates_with_upload() {
        const auto post = [&](const std::string& more, const std::string& bytes) {
            return send("POST", "/api/files/tus", kTus + ""s + kBytes + more, bytes);
        };
        const Answer part = post("Upload-Length: 11\r\n", "hello ");
        CPPUNIT_ASSERT_EQUAL(201, part.status);
        CPPUNIT_ASSERT_EQUAL("6"s, part.header("Upload-Offset"));
        CPPUNIT_ASSERT_EQUAL("204 11"s, patched(part.header("Location"), 6, "world"));
        const Answer whole = post("Upload-Length: 11\r\n", "hello world");
        CPPUNIT_ASSERT_EQUAL("hello world"s, send("GET", whole.header("Content-Location")).body);
        const Answer summed = post(
            "Upload-Length: 11\r\nUpload-Checksum: sha1 "s + kHelloSha1 + "\r\n", "hello world");
        CPPUNIT_ASSERT_EQUAL(201, summed.status);
        const Answer wrong = post(
            "Upload-Length: 11\r\nUpload-Checksum: sha1 "s + kHelloSha1 + "\r\n", "hello worlD");
        CPPUNIT_ASSERT_EQUAL(460, wrong.status);
        CPPUNIT_ASSERT_EQUAL("413"s, std::to_string(post("Upload-Length: 3\r\n", "hello").status));
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, left_behind());
        CPPUNIT_ASSERT_EQUAL("0"s, storage("reserved_bytes"));
    }

    void refuses_bad_creations() {
        const auto post = [&](const std::string& headers) {
            return outcome("POST", "/api/files/tus", kTus + headers);
        };
        for (const char* bad :
             {"", "Upload-Length: -1\r\n", "Upload-Length: 1x\r\n", "Upload-Length: +1\r\n",
              "Upload-Length: 99999999999999999999\r\n", "Upload-Defer-Length: 2\r\n",
              "Upload-Length: 1\r\nUpload-Defer-Length: 1\r\n",
              "Upload-Length: 1\r\nUpload-Metadata: filename *\r\n",
              "Upload-Length: 1\r\nUpload-Metadata: a YQ==,a YQ==\r\n",
              "Upload-Length: 1\r\nUpload-Concat: half\r\n", "Upload-Concat: final;\r\n",
              "Upload-Length: 1\r\nUpload-Concat: final;/api/files/tus/x\r\n"}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(bad, "400 invalid-upload"s, post(bad));
        }
        CPPUNIT_ASSERT_EQUAL("413 file-too-large"s, post("Upload-Length: 104857601\r\n"));
        // a.exe
        CPPUNIT_ASSERT_EQUAL("415 blocked-extension"s,
                             post("Upload-Length: 1\r\nUpload-Metadata: filename YS5leGU=\r\n"));
        CPPUNIT_ASSERT_EQUAL(
            "415 unsupported-media-type"s,
            outcome("POST", "/api/files/tus",
                    kTus + "Upload-Length: 1\r\nContent-Type: text/plain\r\n"s, "x"));
        CPPUNIT_ASSERT_EQUAL("404 upload-not-found"s,
                             post("Upload-Concat: final;/api/files/tus/x\r\n"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, left_behind());
    }

    void refuses_bad_patches() {
        const std::string url = create("11");
        CPPUNIT_ASSERT_EQUAL("409 offset-mismatch"s, patched(url, 1, "x"));
        CPPUNIT_ASSERT_EQUAL("413 upload-too-long"s, patched(url, 0, "hello world!"));
        CPPUNIT_ASSERT_EQUAL("404 upload-not-found"s, patched("/api/files/tus/x", 0, "x"));
        CPPUNIT_ASSERT_EQUAL("400 invalid-upload"s,
                             outcome("PATCH", url, kTus + ""s + kBytes, "x"));
        CPPUNIT_ASSERT_EQUAL("415 unsupported-media-type"s,
                             outcome("PATCH", url, kTus + "Upload-Offset: 0\r\n"s, "x"));
        CPPUNIT_ASSERT_EQUAL("412 tus-version"s,
                             outcome("PATCH", url, kBytes + "Upload-Offset: 0\r\n"s, "x"));
        CPPUNIT_ASSERT_EQUAL("409 length-mismatch"s, patched(url, 0, "x", "Upload-Length: 12\r\n"));
        for (const char* sum : {"md5 YQ==", "sha1", "sha1 YQ==", "sha1 *"}) {
            CPPUNIT_ASSERT_EQUAL("400 invalid-upload"s,
                                 patched(url, 0, "x", fmt::format("Upload-Checksum: {}\r\n", sum)));
        }
        // More than fits, of a length that nobody told.
        RawClient client(daemon_->port());
        client.send(
            fmt::format("PATCH {} HTTP/1.1\r\nHost: localhost\r\n{}{}Upload-Offset: 0\r\n"
                        "Transfer-Encoding: chunked\r\n\r\nc\r\nhello world!\r\n0\r\n\r\n",
                        url, kTus, kBytes));
        CPPUNIT_ASSERT_EQUAL("upload-too-long"s, client.read_answer().member("code"));
        CPPUNIT_ASSERT_EQUAL("0"s, offset(url));
        CPPUNIT_ASSERT_EQUAL("204 11"s, patched(url, 0, "hello world"));
        CPPUNIT_ASSERT_EQUAL("hello world"s, content(url));
    }

    void defers_the_length() {
        const Answer made = send("POST", "/api/files/tus", kTus + "Upload-Defer-Length: 1\r\n"s);
        const std::string url = made.header("Location");
        CPPUNIT_ASSERT_EQUAL("1"s, head(url).header("Upload-Defer-Length"));
        CPPUNIT_ASSERT_EQUAL(""s, head(url).header("Upload-Length"));
        CPPUNIT_ASSERT_EQUAL("204 6"s, patched(url, 0, "hello "));
        kill_and_start();
        CPPUNIT_ASSERT_EQUAL("6"s, offset(url));
        CPPUNIT_ASSERT_EQUAL("409 length-mismatch"s, patched(url, 6, "", "Upload-Length: 5\r\n"));
        CPPUNIT_ASSERT_EQUAL("413 file-too-large"s,
                             patched(url, 6, "", "Upload-Length: 999999999\r\n"));
        CPPUNIT_ASSERT_EQUAL("204 8"s, patched(url, 6, "wo", "Upload-Length: 11\r\n"));
        CPPUNIT_ASSERT_EQUAL("11"s, head(url).header("Upload-Length"));
        CPPUNIT_ASSERT_EQUAL("204 11"s, patched(url, 8, "rld"));
        CPPUNIT_ASSERT_EQUAL("hello world"s, content(url));
        CPPUNIT_ASSERT_EQUAL("11"s, storage("used_bytes"));
        CPPUNIT_ASSERT_EQUAL("0"s, storage("reserved_bytes"));
    }

    void checks_sums() {
        for (const std::string& sum :
             {"sha1 "s + kHelloSha1, "sha256 "s + kHelloSha256, "crc32c "s + kHelloCrc32c}) {
            const std::string url = create("15");
            const std::string header = "Upload-Checksum: " + sum + "\r\n";
            CPPUNIT_ASSERT_EQUAL("204 4"s, patched(url, 0, "abcd"));
            CPPUNIT_ASSERT_EQUAL("460 checksum-mismatch"s, patched(url, 4, "hello worlD", header));
            CPPUNIT_ASSERT_EQUAL("4"s, offset(url));
            CPPUNIT_ASSERT_EQUAL("204 15"s, patched(url, 4, "hello world", header));
            CPPUNIT_ASSERT_EQUAL("abcdhello world"s, content(url));
        }
    }

    void checks_sums_in_trailers() {
        const auto chunked = [&](const std::string& url, const std::string& bytes,
                                 const std::string& trailer) {
            RawClient client(daemon_->port());
            client.send(
                fmt::format("PATCH {} HTTP/1.1\r\nHost: localhost\r\n{}{}Upload-Offset: 0\r\n"
                            "Trailer: Upload-Checksum\r\nTransfer-Encoding: chunked\r\n\r\n"
                            "{:x}\r\n{}\r\n0\r\n{}\r\n",
                            url, kTus, kBytes, bytes.size(), bytes, trailer));
            return client.read_answer().status;
        };
        const std::string url = create("11"),
                          trailer = "Upload-Checksum: crc32c "s + kHelloCrc32c + "\r\n";
        CPPUNIT_ASSERT_EQUAL(460, chunked(url, "hello worlD", trailer));
        CPPUNIT_ASSERT_EQUAL(400, chunked(url, "hello world", ""));
        CPPUNIT_ASSERT_EQUAL(400, chunked(url, "hello world", "Upload-Checksum: md5 YQ==\r\n"));
        CPPUNIT_ASSERT_EQUAL("0"s, offset(url));
        CPPUNIT_ASSERT_EQUAL(204, chunked(url, "hello world", trailer));
        CPPUNIT_ASSERT_EQUAL("hello world"s, content(url));
    }

    void resumes_after_a_broken_connection() {
        const std::string url = create("11");
        auto client = begin(url, 0, 11, "hello");
        CPPUNIT_ASSERT(eventually([&] { return offset(url) == "5"; }));
        client->reset();
        client.reset();
        CPPUNIT_ASSERT_EQUAL("204 11"s, patched(url, 5, " world"));
        CPPUNIT_ASSERT_EQUAL("hello world"s, content(url));
    }

    void a_newer_patch_takes_over() {
        const std::string url = create("11");
        const auto dead = begin(url, 0, 11, "hello");
        CPPUNIT_ASSERT(eventually([&] { return offset(url) == "5"; }));
        CPPUNIT_ASSERT_EQUAL("204 6"s, patched(url, 5, " "));
        // The old one wakes up: nothing of it counts any more.
        dead->send("WORLD!");
        CPPUNIT_ASSERT_EQUAL("taken-over"s, dead->read_answer().member("code"));
        CPPUNIT_ASSERT_EQUAL("204 11"s, patched(url, 6, "world"));
        CPPUNIT_ASSERT_EQUAL("hello world"s, content(url));
    }

    void unproven_bytes_never_count() {
        const std::string url = create("15");
        const std::string sum = "Upload-Checksum: sha1 "s + kHelloSha1 + "\r\n";
        CPPUNIT_ASSERT_EQUAL("204 4"s, patched(url, 0, "abcd"));
        const auto on_disk = [&] {
            return fs::file_size(*folder_ / ("files/.tus/" + url.substr(15)));
        };
        {
            const auto dead = begin(url, 4, 11, "hello wo", sum);
            CPPUNIT_ASSERT(eventually([&] { return on_disk() == 12; }));
            CPPUNIT_ASSERT_EQUAL("4"s, offset(url));
            kill_and_start();
        }
        CPPUNIT_ASSERT_EQUAL("4"s, offset(url));
        const auto dead = begin(url, 4, 11, "hello wo", sum);
        CPPUNIT_ASSERT(eventually([&] { return on_disk() == 12; }));
        CPPUNIT_ASSERT_EQUAL("204 15"s, patched(url, 4, "hello world", sum));
        CPPUNIT_ASSERT_EQUAL("abcdhello world"s, content(url));
    }

    void survives_kills() {
        std::string bytes;
        for (int i = 0; i < 100000; ++i) bytes += fmt::format("{:09}\n", i);
        const std::string url = create(std::to_string(bytes.size()));
        for (int i = 0; i < 3; ++i) {
            const std::size_t at = std::stoul(offset(url));
            const std::size_t size = 150000 + static_cast<std::size_t>(i) * 777;
            const auto client = begin(url, at, bytes.size() - at, bytes.substr(at, size));
            CPPUNIT_ASSERT(eventually([&] { return std::stoul(offset(url)) > at + 100000; }));
            kill_and_start();
            CPPUNIT_ASSERT_EQUAL(fmt::format("{}", bytes.size()), storage("reserved_bytes"));
            CPPUNIT_ASSERT(std::stoul(offset(url)) > at + 100000);
        }
        const std::size_t at = std::stoul(offset(url));
        CPPUNIT_ASSERT_EQUAL(204, patch(url, at, bytes.substr(at)).status);
        CPPUNIT_ASSERT(content(url) == bytes);
        kill_and_start();
        CPPUNIT_ASSERT(content(url) == bytes);
        CPPUNIT_ASSERT_EQUAL("0"s, storage("reserved_bytes"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, left_behind());
    }

    void terminates() {
        const std::string url = create("11");
        patched(url, 0, "hello");
        CPPUNIT_ASSERT_EQUAL(204, send("DELETE", url, kTus).status);
        CPPUNIT_ASSERT_EQUAL("404 upload-not-found"s, outcome("DELETE", url, kTus));
        CPPUNIT_ASSERT_EQUAL(404, head(url).status);
        CPPUNIT_ASSERT_EQUAL("404 upload-not-found"s, patched(url, 5, "x"));
        CPPUNIT_ASSERT_EQUAL("0"s, storage("reserved_bytes"));
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, left_behind());
    }

    void expires() {
        environment_.emplace_back("LARDER_FILES_UPLOAD_EXPIRY", "1s");
        restart();
        const std::string url = create("11");
        CPPUNIT_ASSERT(eventually([&] { return head(url).status == 410; }));
        CPPUNIT_ASSERT_EQUAL("410 upload-expired"s, patched(url, 0, "x"));
        send("POST", "/api/scheduler/jobs/files.expire/run");
        // The room is given back after the bytes are gone.
        CPPUNIT_ASSERT(eventually([&] { return storage("reserved_bytes") == "0"; }));
        CPPUNIT_ASSERT_EQUAL(std::size_t{0}, left_behind());
    }

    void concatenates() {
        const std::string partial = "Upload-Concat: partial\r\n";
        const std::string a = create("6", partial), b = create("5", partial), c = create("5");
        const auto final_of = [&](const std::string& urls, const std::string& more = {}) {
            return send("POST", "/api/files/tus",
                        fmt::format("{}Upload-Concat: final;{}\r\n{}", kTus, urls, more));
        };
        CPPUNIT_ASSERT_EQUAL("204 6"s, patched(a, 0, "hello "));
        CPPUNIT_ASSERT_EQUAL("upload-incomplete"s, final_of(a + " " + b).member("code"));
        CPPUNIT_ASSERT_EQUAL("invalid-upload"s, final_of(a + " " + c).member("code"));
        CPPUNIT_ASSERT_EQUAL("204 5"s, patched(b, 0, "world"));
        CPPUNIT_ASSERT_EQUAL("partial"s, head(b).header("Upload-Concat"));
        CPPUNIT_ASSERT_EQUAL(""s, head(b).header("Content-Location"));
        CPPUNIT_ASSERT_EQUAL("0"s, storage("file_count"));
        restart();
        const Answer whole =
            final_of(a + " http://localhost" + b, "Upload-Metadata: filename YS50eHQ=\r\n");
        CPPUNIT_ASSERT_EQUAL_MESSAGE(whole.body, 201, whole.status);
        const std::string url = whole.header("Location");
        CPPUNIT_ASSERT_EQUAL("hello world"s, content(url));
        CPPUNIT_ASSERT_EQUAL("11"s, head(url).header("Upload-Length"));
        CPPUNIT_ASSERT(head(url).header("Upload-Concat").starts_with("final;"));
        CPPUNIT_ASSERT_EQUAL("403 upload-final"s, patched(url, 11, ""));
    }

    void holds_its_quota() {
        environment_.emplace_back("LARDER_FILES_QUOTA", "2000");
        restart();
        const std::string url = create("1500");
        CPPUNIT_ASSERT_EQUAL("507 quota-exceeded"s,
                             outcome("POST", "/api/files/tus", kTus + "Upload-Length: 501\r\n"s));
        CPPUNIT_ASSERT_EQUAL("507 quota-exceeded"s,
                             outcome("PUT", "/api/files/a", {}, std::string(501, 'x')));
        kill_and_start();
        CPPUNIT_ASSERT_EQUAL("1500"s, storage("reserved_bytes"));
        CPPUNIT_ASSERT_EQUAL("201"s, outcome("PUT", "/api/files/a", {}, std::string(500, 'x')));
        CPPUNIT_ASSERT_EQUAL("204 1500"s, patched(url, 0, std::string(1500, 'x')));
        CPPUNIT_ASSERT_EQUAL("2000"s, storage("used_bytes"));
        CPPUNIT_ASSERT_EQUAL("0"s, storage("reserved_bytes"));
    }

    void takes_methods_by_header() {
        const std::string url = create("11");
        const std::string head_lines = kTus + ""s + kBytes + "Upload-Offset: 0\r\n";
        CPPUNIT_ASSERT_EQUAL("400 invalid-upload"s, outcome("POST", url, head_lines, "hello"));
        CPPUNIT_ASSERT_EQUAL(
            "204"s,
            outcome("POST", url, head_lines + "X-HTTP-Method-Override: PATCH\r\n", "hello"));
        CPPUNIT_ASSERT_EQUAL("5"s, offset(url));
        CPPUNIT_ASSERT_EQUAL("204"s,
                             outcome("POST", url, kTus + "X-HTTP-Method-Override: DELETE\r\n"s));
        CPPUNIT_ASSERT_EQUAL(404, head(url).status);
    }
};

LARDER_TEST_SUITE(FilesTusTest);

}  // namespace
}  // namespace larder::test
