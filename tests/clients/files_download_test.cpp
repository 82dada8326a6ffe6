// What comes down of stored files: ranges, conditions, counts, pages that are shown inline.
#include <fmt/format.h>

#include <vector>

#include "support/files_fixture.hpp"

namespace larder::test {
namespace {

using std::string_literals::operator""s;

class FilesDownloadTest : public FilesFixture {
    CPPUNIT_TEST_SUITE(FilesDownloadTest);
    CPPUNIT_TEST(gives_ranges);
    CPPUNIT_TEST(obeys_conditions);
    CPPUNIT_TEST(counts_downloads);
    CPPUNIT_TEST(shows_inline_in_a_sandbox);
    CPPUNIT_TEST_SUITE_END();

public:
    void gives_ranges() {
        std::string bytes;
        for (int i = 0; i < 30000; ++i) bytes += fmt::format("{:05} ", i);
        const std::string url = put("numbers.txt", bytes);
        const auto get = [&](const std::string& range, const std::string& more = {}) {
            return send("GET", url, fmt::format("Range: {}\r\n{}", range, more));
        };
        const Answer one = get("bytes=6-10");
        CPPUNIT_ASSERT_EQUAL(206, one.status);
        CPPUNIT_ASSERT_EQUAL("00001"s, one.body);
        CPPUNIT_ASSERT_EQUAL("bytes 6-10/180000"s, one.header("Content-Range"));
        CPPUNIT_ASSERT_EQUAL(bytes.substr(100000), get("bytes=100000-").body);
        CPPUNIT_ASSERT_EQUAL("29999 "s, get("bytes=-6").body);
        const Answer many = get("bytes=0-4,60000-119999,-1");
        CPPUNIT_ASSERT_EQUAL(206, many.status);
        CPPUNIT_ASSERT(many.header("Content-Type").starts_with("multipart/byteranges; boundary="));
        const std::string boundary = many.header("Content-Type").substr(31);
        CPPUNIT_ASSERT_EQUAL(
            fmt::format(
                "--{0}\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-4/180000\r\n\r\n"
                "00000\r\n--{0}\r\nContent-Type: text/plain\r\n"
                "Content-Range: bytes 60000-119999/180000\r\n\r\n{1}\r\n--{0}\r\n"
                "Content-Type: text/plain\r\nContent-Range: bytes 179999-179999/180000\r\n"
                "\r\n \r\n--{0}--\r\n",
                boundary, bytes.substr(60000, 60000)),
            many.body);
        const Answer none = get("bytes=180000-");
        CPPUNIT_ASSERT_EQUAL("416 range-not-satisfiable"s, refused(none));
        CPPUNIT_ASSERT_EQUAL("bytes */180000"s, none.header("Content-Range"));
        CPPUNIT_ASSERT_EQUAL(200, get("bytes=5-4").status);
        CPPUNIT_ASSERT_EQUAL(200, get("lines=1-2").status);
        const Answer whole = send("GET", url);
        const auto if_range = [&](const std::string& value) {
            return get("bytes=0-0", fmt::format("If-Range: {}\r\n", value)).status;
        };
        CPPUNIT_ASSERT_EQUAL(206, if_range(whole.header("ETag")));
        CPPUNIT_ASSERT_EQUAL(206, if_range(whole.header("Last-Modified")));
        CPPUNIT_ASSERT_EQUAL(200, if_range("\"other\""));
        CPPUNIT_ASSERT_EQUAL(200, if_range("W/" + whole.header("ETag")));
        CPPUNIT_ASSERT_EQUAL(200, if_range("Sun, 06 Nov 1994 08:49:37 GMT"));
        CPPUNIT_ASSERT_EQUAL(200, send("HEAD", url, "Range: bytes=0-0\r\n").status);
    }

    void obeys_conditions() {
        const std::string url = put("a.txt", "hello world");
        const Answer whole = send("GET", url);
        const std::string etag = whole.header("ETag"), modified = whole.header("Last-Modified");
        const auto get = [&](const std::string& header) {
            return send("GET", url, header + "\r\n").status;
        };
        CPPUNIT_ASSERT_EQUAL(304, get("If-None-Match: " + etag));
        CPPUNIT_ASSERT_EQUAL(304, get("If-None-Match: \"x\", W/" + etag + "\r\nRange: bytes=0-1"));
        CPPUNIT_ASSERT_EQUAL(200, get("If-None-Match: \"x\"\r\nIf-Modified-Since: " + modified));
        CPPUNIT_ASSERT_EQUAL(304, get("If-Modified-Since: " + modified));
        CPPUNIT_ASSERT_EQUAL(200, get("If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT"));
        CPPUNIT_ASSERT_EQUAL(412, get("If-Match: \"x\""));
        CPPUNIT_ASSERT_EQUAL(200, get("If-Match: " + etag));
        CPPUNIT_ASSERT_EQUAL(412, get("If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT"));
        const Answer cached = send("GET", url, "If-None-Match: " + etag + "\r\n");
        CPPUNIT_ASSERT_EQUAL(etag, cached.header("ETag"));
        CPPUNIT_ASSERT_EQUAL("412 precondition-failed"s,
                             outcome("DELETE", url, "If-Match: \"x\"\r\n"));
        CPPUNIT_ASSERT_EQUAL("412 precondition-failed"s,
                             outcome("DELETE", url, "If-None-Match: *\r\n"));
        CPPUNIT_ASSERT_EQUAL("400 condition-not-supported"s,
                             outcome("PUT", "/api/files/b.txt", "If-None-Match: *\r\n", "x"));
        CPPUNIT_ASSERT_EQUAL(
            "400 condition-not-supported"s,
            outcome("PATCH", url + "/metadata",
                    "If-Match: *\r\nContent-Type: application/merge-patch+json\r\n", "{}"));
        CPPUNIT_ASSERT_EQUAL("204"s, outcome("DELETE", url, "If-Match: " + etag + "\r\n"));
    }

    void counts_downloads() {
        const std::string url = put("a.txt", "hello world");
        const auto count = [&] {
            return number(send("GET", url + "/metadata").body, "download_count");
        };
        send("HEAD", url);
        send("GET", url, "If-None-Match: *\r\n");
        send("GET", url, "Range: bytes=1-\r\n");
        send("GET", url, "Range: bytes=50-\r\n");
        CPPUNIT_ASSERT_EQUAL("0"s, count());
        send("GET", url);
        send("GET", url, "Range: bytes=0-3\r\n");
        send("GET", url + "?inline=true");
        CPPUNIT_ASSERT_EQUAL("3"s, count());
        const std::string other = put("b.txt", "x");
        CPPUNIT_ASSERT(listed("sort=downloads&order=desc", "url") ==
                       (std::vector<std::string>{url, other}));
        for (int i = 0; i < 5; ++i) send("GET", other);
        CPPUNIT_ASSERT(listed("sort=downloads&order=desc", "url") ==
                       (std::vector<std::string>{other, url}));
        restart();
        CPPUNIT_ASSERT_EQUAL("3"s, count());
        CPPUNIT_ASSERT(listed("sort=downloads", "url") == (std::vector<std::string>{url, other}));
    }

    void shows_inline_in_a_sandbox() {
        const std::string url = put("a%20b%C3%A9.txt", "<script>") + "?inline=true";
        const Answer got = send("GET", url);
        CPPUNIT_ASSERT_EQUAL("inline; filename=\"a b_.txt\"; filename*=UTF-8''a%20b%C3%A9.txt"s,
                             got.header("Content-Disposition"));
        CPPUNIT_ASSERT_EQUAL("nosniff"s, got.header("X-Content-Type-Options"));
        CPPUNIT_ASSERT(got.header("Content-Security-Policy").find("sandbox") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL("400 invalid-parameter"s, outcome("GET", url + "x"));
    }
};

LARDER_TEST_SUITE(FilesDownloadTest);

}  // namespace
}  // namespace larder::test
